"""Words around an answer that are the assistant's and no text to train on.

"Sure! Here is the rephrased version:" before it, "Let me know if you need more." behind it, a
conversation that goes on by itself, an element of notes in front, a heading "Thinking process".
A phrase counts only where the source document does not hold it too.
"""

from __future__ import annotations

import re

_LONGEST_LINE = 240

_NOTES = re.compile(
    r"\s*<(analysis|internal|plan(?:ning)?|cot|chain[_-]of[_-]thoughts?|rationale|draft|"
    r"brainstorm(?:ing)?|tool_calls?|function_calls?|deliberation|critique|commentary|"
    r"self[_-]?(?:reflection|critique)|considerations|details type=[\"']?reasoning[\"']?)"
    r"(?:\s[^<>]{0,200})?>",
    re.IGNORECASE,
)
"""An element in front of the answer, in which models make up their mind."""

_PREAMBLE = re.compile(
    r"\s*[*_#]{0,3}\s*(?:(?:sure|certainly|of course|absolutely|okay|ok|great|alright|no problem)\b"
    r"[^\n]{0,60}?[,.!:—-]{1,3}\s*)?"
    r"(?:here(?:['’]s| is| are| you go)|below (?:is|are)|the following (?:is|are)|"
    r"i(?:['’]ve| have|['’]ll| will)|this is|let me)\b[^\n]{0,60}?"
    r"\b(?:re-?phras|re-?writ|re-?wrot|paraphras|re-?word|version|question|pairs?\b|q&a|article|"
    r"textbook|chapter|outline|response|output)[^\n]{0,80}:[*_ \t]*\n+(?=[^\n])",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\n+\W{0,4}(?:please )?(?:let me know (?:if|whether|what)|(?:i )?hope (?:this|that) helps|"
    r"feel free to (?:ask|let|reach)|is there anything else|would you like me to|"
    r"do you (?:want|need) me to|if you (?:need|want|would like|['’]d like) (?:any|me to|further|"
    r"more))[^\n]{0,200}\s*$",
    re.IGNORECASE,
)
_TURN = re.compile(
    r"\n[ \t]*(?:#{1,4} ?)?(?:\*\*)?(?:user|human|instruction|prompt)(?:\*\*)?\s*:", re.IGNORECASE
)
_ANSWERED = re.compile(
    r"\n[ \t]*(?:#{1,4} ?)?(?:\*\*)?(?:assistant|ai|bot|response)(?:\*\*)?\s*:", re.IGNORECASE
)
_HEADING = re.compile(
    r"\s*[#*_ \t]{0,6}((?:thinking|thought|reasoning)(?: process| steps)?|(?:my )?thoughts|"
    r"chain of thought|internal (?:monologue|reasoning)|scratchpad|"
    r"analysis of the (?:request|task|prompt))\s*:?[ \t]*[*_]{0,3}[ \t]*:?[ \t]*(?:\n|$)",
    re.IGNORECASE,
)
_ALOUD = re.compile(
    r"\s*(?:(?:okay|ok|alright|hmm+|so|first|now)\b[,.: ]*)?((?:let me|let['’]s|i(?:['’]ll| will| "
    r"need to| should| have to)|we (?:need to|should|must|have to))(?: now)? "
    r"(?:re-?phrase|re-?write|paraphrase|re-?word|break (?:this|it) down|"
    r"analy[sz]e the (?:text|request|page|document)|"
    r"start by (?:read|analy|re)))",
    re.IGNORECASE,
)


def without_chatter(text: str, source: str) -> tuple[str, str, str]:
    """The text without such words: (text, what was taken off, a doubt).

    source: the document, in lower case. A doubt is set where reasoning and answer cannot be parted;
    the text is then whole.
    """
    cut: list[str] = []
    if "<" in text[:_LONGEST_LINE] and (opening := _NOTES.match(text)):
        name = opening[1].split()[0].lower()
        if f"<{name}" not in source:
            end = text.lower().find(f"</{name}>", opening.end())
            rest = text[end + len(name) + 3 :].strip() if end >= 0 else ""
            if not rest:
                return text, "", f"no text but an element <{name}>"
            text = rest
            cut.append("reasoning")
    heading = _HEADING.match(text[:_LONGEST_LINE])
    if heading and heading[1].lower() not in source:
        return text, "", f"reasons aloud: {heading[1]!r}"
    if (start := _PREAMBLE.match(text[: 2 * _LONGEST_LINE])) and start[
        0
    ].strip().lower() not in source:
        text = text[start.end() :]
        cut.append("a preamble")
    turn = _TURN.search(text)
    if turn and turn[0].strip().lower() not in source and _ANSWERED.search(text, turn.end()):
        text = text[: turn.start()].rstrip()
        cut.append("a conversation")
    tail = max(0, len(text) - 2 * _LONGEST_LINE)
    if (end_words := _CLOSING.search(text, tail)) and end_words[0].strip().lower() not in source:
        text = text[: end_words.start()].rstrip()
        cut.append("closing words")
    aloud = _ALOUD.match(text[:_LONGEST_LINE])
    if aloud and aloud[1].lower() not in source:
        return text, "", f"reasons aloud: {aloud[0].strip()!r}"
    return text, ", ".join(cut), ""
