#!/usr/bin/python3
"""The tables of docs/PROVIDERS.md, from what `strongroom provider list --json` prints on standard input."""

import json
import sys


def code(texts):
    return ", ".join(f"`{text}`" for text in texts) or "-"


def rows(title, cells):
    print("| " + " | ".join(title) + " |")
    print("|" + "---|" * len(title))
    for row in cells:
        print("| " + " | ".join(row) + " |")


def main():
    providers = json.load(sys.stdin)["providers"]
    rows(["`--provider`", "code", "whose", "credential", "header of a request"], (
        [f"`{p['name']}`", str(p["code"]), p["title"], " or ".join(code(form) for form in p["forms"]),
         "<br>".join(f"`{h['name']}: {h['template']}`" for h in p["headers"]) or "none"] for p in providers))
    print()
    rows(["`--provider`", "variables of `exec`", "Envoy AI Gateway", "what keys have looked like"], (
        [f"`{p['name']}`", "<br>".join(f"`{v['name']}`" for v in p["variables"]) +
         (f"<br>`{p['file']}` (a file)" if p["file"] else "") or "with `--as` only",
         "<br>".join(f"`{h['name']}`" for h in p["envoy"]) or "none",
         "<br>".join((f"{s['field']}: " if s["field"] != "key" else "") + s["text"].replace("|", "\\|") +
                     (f" ({s['scope']})" if s["scope"] != "inference" else "") for s in p["shapes"]) or "anything"]
        for p in providers))


if __name__ == "__main__":
    main()
