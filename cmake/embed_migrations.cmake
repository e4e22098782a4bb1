# Writes every migrations/NNNN_name.sql as bytes, with its checksum, into one C file.
#   cmake -DOUT=generated/store_migrations.c -DSRC=migrations -P cmake/embed_migrations.cmake

foreach(variable OUT SRC)
    if(NOT DEFINED ${variable})
        message(FATAL_ERROR "embed_migrations: -D${variable}=... is missing")
    endif()
endforeach()

file(GLOB paths ${SRC}/*.sql)
list(SORT paths)
if(NOT paths)
    message(FATAL_ERROR "embed_migrations: no migrations in ${SRC}")
endif()

set(texts "")
set(rows "")
set(expected 0)
foreach(path IN LISTS paths)
    get_filename_component(name ${path} NAME_WE)
    if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+$")
        message(FATAL_ERROR "embed_migrations: ${path} is not called NNNN_name.sql")
    endif()
    set(digits ${CMAKE_MATCH_1})
    math(EXPR expected "${expected} + 1")
    string(REGEX REPLACE "^0+" "" number "${digits}")
    if(NOT number STREQUAL expected)
        message(FATAL_ERROR "embed_migrations: ${path} should have number ${expected}")
    endif()
    file(SHA256 ${path} checksum)
    file(READ ${path} bytes HEX)
    # A byte above 0x7f is not a char everywhere, and a NUL would end the text early.
    string(REGEX MATCHALL ".." bytes "${bytes}")
    if("${bytes}" MATCHES "(^|;)(00|[89a-f].)(;|$)")
        message(FATAL_ERROR "embed_migrations: ${path} is not plain ASCII")
    endif()
    list(TRANSFORM bytes PREPEND "0x")
    list(JOIN bytes "," bytes)
    string(REPLACE "0x0a," "0x0a,\n    " bytes "${bytes}") # a line of SQL each
    string(APPEND texts "static const char sql_${digits}[] = {\n    ${bytes},0x00\n};\n\n")
    string(APPEND rows
           "    { ${expected}, \"${name}\", sql_${digits},\n      \"${checksum}\" },\n")
endforeach()

file(WRITE ${OUT}.new "#include \"migration.h\"\n\n${texts}"
     "const struct store_migration store_migrations[] = {\n${rows}};\n\n"
     "const size_t store_migration_count = ${expected};\n")
file(RENAME ${OUT}.new ${OUT})
