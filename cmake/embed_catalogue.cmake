# Writes the catalogue of providers as bytes into a C file.
#   cmake -DOUT=generated/provider_catalogue.c -DSRC=providers/catalogue -P cmake/embed_catalogue.cmake

foreach(variable OUT SRC)
    if(NOT DEFINED ${variable})
        message(FATAL_ERROR "embed_catalogue: -D${variable}=... is missing")
    endif()
endforeach()

file(READ ${SRC} bytes HEX)
string(REGEX MATCHALL ".." bytes "${bytes}")
list(TRANSFORM bytes PREPEND "0x")
list(JOIN bytes "," bytes)
string(REPLACE "0x0a," "0x0a,\n    " bytes "${bytes}") # a line of the catalogue each

file(WRITE ${OUT}.new "#include \"catalogue.h\"\n\n"
     "static const unsigned char text[] = {\n    ${bytes}\n};\n\n"
     "const struct span catalogue_text = { text, sizeof text };\n")
file(RENAME ${OUT}.new ${OUT})
