"""Reads a report as a browser would and says what is wrong with it: tags that do not match, headings that skip a level, tables without
heads, links that lead nowhere, anything that would be fetched or run. Prints nothing when all is well."""

import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "col", "rect", "line", "polyline", "circle", "polygon"}
FETCHING = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "use", "image", "form", "base"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.wrong, self.open, self.ids, self.links, self.levels = [], [], set(), [], []
        self.title, self.language, self.policy, self.headings = "", None, None, 0

    def say(self, what):
        line, column = self.getpos()
        self.wrong.append(f"{line}:{column}: {what}")

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if len(found) != len(attributes):
            self.say(f"{tag} has an attribute twice")
        if tag in FETCHING:
            self.say(f"{tag} fetches or runs something")
        for name, value in attributes:
            if name.startswith("on") or name == "style":
                self.say(f"{tag} has {name}")
            if name in {"src", "href", "action", "data"} and not (value or "").startswith("#"):
                self.say(f"{tag} leads to {value}")
        if "id" in found:
            if found["id"] in self.ids:
                self.say(f"id {found['id']} stands there twice")
            self.ids.add(found["id"])
        if tag == "a":
            self.links.append((self.getpos(), found.get("href", "")[1:]))
        for name in ("aria-labelledby",):
            self.links += [(self.getpos(), one) for one in found.get(name, "").split()]
        if re.fullmatch("h[1-6]", tag):
            level = int(tag[1])
            if level > (self.levels[-1] if self.levels else 0) + 1:
                self.say(f"{tag} follows h{self.levels[-1] if self.levels else 0}")
            self.levels.append(level)
        if tag == "th" and found.get("scope") not in {"col", "row"}:
            self.say("th without scope")
        if tag == "svg" and (found.get("role") != "img" or "aria-labelledby" not in found):
            self.say("svg without a name")
        if tag == "html":
            self.language = found.get("lang")
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID or not self.open or self.open[-1] != tag:
            self.say(f"</{tag}> closes {self.open[-1] if self.open else 'nothing'}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "title" and "svg" not in self.open:
            self.title += data
        for character in data:
            if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\x1b\x00":
                self.say(f"U+{ord(character):04X} in a text")


page = Page()
with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
page.feed(text)
page.close()
if not text.startswith("<!DOCTYPE html>"):
    page.wrong.append("no document type")
if page.open:
    page.wrong.append(f"not closed: {page.open}")
if page.levels.count(1) != 1:
    page.wrong.append(f"{page.levels.count(1)} first headings")
if not page.title.strip() or not page.language:
    page.wrong.append("no title, or no language")
if "default-src 'none'" not in (page.policy or ""):
    page.wrong.append("no policy")
if re.search(r"url\(|@import", text):
    page.wrong.append("the style fetches something")
page.wrong += [f"{line}:{column}: {name} is not there" for (line, column), name in page.links if name not in page.ids]
print("\n".join(page.wrong), end="")
