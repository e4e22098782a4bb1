"""The lint finds what it is for, stays silent on what is allowed, and the tree passes it."""

import subprocess
from pathlib import Path

import pytest

LINT = Path(__file__).resolve().parent / "lint"


def run(root=None):
    return subprocess.run([str(LINT)] + ([str(root)] if root else []), capture_output=True, text=True)


def plant(root, path, text):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


VIOLATIONS = [
    ("src/base/a.c", "void f(char *d, char *s)\n{\n    strcpy(d, s);\n}\n", 3, "strcpy"),
    ("src/http/a.c", "int f(char *s)\n{\n    return atoi(s);\n}\n", 3, "atoi"),
    ("src/store/a.c", "void *f(void *p)\n{\n    return realloc(p, 2);\n}\n", 3, "realloc"),
    ("src/daemon/a.c", "int f(void)\n{\n    return system(\"x\");\n}\n", 3, "system"),
    ("src/crypto/a.c", "int f(void *a, void *b)\n{\n    return memcmp(a, b, 32);\n}\n", 3, "memcmp"),
    ("include/keyring/a.h", "#define SAME(a, b) (strcmp(a, b) == 0)\n", 1, "strcmp"),
    ("src/secret/a.c", "void f(void *a)\n{\n    memset(a, 0, 32);\n}\n", 3, "memset"),
    ("src/keeper/a.c", "void f(struct secret *s)\n{\n    log_info(\"%s\",\n        secret_view(s).at);\n}\n", 3, "secret"),
    ("src/policy/a.c", "char *f(void)\n{\n    return getenv(\"SKIP_LOCKING\");\n}\n", 3, "getenv"),
    ("cli/a.c", "char *f(void)\n{\n    return getenv(\"SKIP_LOCKING\");\n}\n", 3, "getenv"),
    ("src/engine/a.c", "#include <sqlcipher/sqlite3.h>\n", 1, "home is store"),
    ("src/store/a.c", "#include <sodium.h>\n", 1, "home is crypto or keyring or secret"),
    ("src/ledger/a.c", "#include <nettle/sha2.h>\n", 1, "home is crypto"),
    ("src/base/a.c", "#  include <openssl/evp.h>\n", 1, "nowhere"),
    ("cli/a.c", "int a;\tint b;\n", 1, "tab"),
    ("cli/a.c", "/* na\u00efve */\n", 1, "ASCII"),
    ("cli/a.c", "int " + "a" * 100 + ";\n", 1, "columns"),
    ("src/lease/a.c", "/* TODO later */\n", 1, "promise"),
    ("src/lease/a.c", "\n" * 601, 600, "601 lines"),
    ("include/lease/a.h", "\n" * 151, 150, "151 lines"),
    ("src/lease/a.c", "int f(void)\n{\n" + "    g();\n" * 67 + "    return 0;\n}\n", 1, "f has 71 lines"),
]

ALLOWED = [
    ("src/base/a.c", "/* never strcpy( here */\nchar *f(void)\n{\n    return \"strcpy(\";\n}\n"),
    ("src/base/a.c", "int my_strcpy(void);\nint f(void)\n{\n    return my_strcpy();\n}\n"),
    ("src/ledger/a.c", "int f(void *a, void *b)\n{\n    return memcmp(a, b, 3); /* public */\n}\n"),
    ("src/policy/a.c", "void *f(void *p)\n{\n    return reallocarray(p, 2, 8); /* public */\n}\n"),
    ("src/http/a.c", "int f(void *a, void *b)\n{\n    return memcmp(a, b, 3);\n}\n"),
    ("cli/a.c", "char *f(void)\n{\n    return getenv(\"HOME\");\n}\n"),
    ("src/store/a.c", "#include <sqlcipher/sqlite3.h>\n"),
    ("src/lease/a.c", "int f(void)\n{\n" + "    g();\n" * 66 + "    return 0;\n}\n"),
]


@pytest.mark.parametrize("path, text, line, word", VIOLATIONS)
def test_finds_a_planted_violation(tmp_path, path, text, line, word):
    plant(tmp_path, path, text)
    result = run(tmp_path)
    assert result.returncode == 1
    assert f"{path}:{line}: " in result.stdout
    assert word in result.stdout
    assert "1 finding\n" in result.stdout


@pytest.mark.parametrize("path, text", ALLOWED)
def test_accepts_what_is_allowed(tmp_path, path, text):
    plant(tmp_path, path, text)
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout


def test_an_empty_tree_is_a_failure(tmp_path):
    assert run(tmp_path).returncode == 1


def test_this_tree_is_clean():
    result = run()
    assert result.returncode == 0, "\n" + result.stdout
