"""Conversations that stress chat templates, and what transformers makes of a template and a conversation."""
import datetime
import json
import subprocess

from transformers.utils import chat_template_utils as utils

NOW = datetime.datetime(2024, 7, 26, 18, 30, 0)


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


utils.datetime = FixedClock

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Das Wetter \"heute\" \u2014 \u5929\u6c14, <b>it's</b> & more.\nSecond line.",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "City, e.g. \u5317\u4eac or S\u00e3o Paulo"},
        "days": {"type": "integer", "default": 3, "minimum": 1},
        "limits": {"type": "object", "properties": {"low": {"type": "number", "default": -0.5}, "high": {"type": "number", "default": 1e21}},
                   "required": ["low"]},
        "units": {"type": "array", "items": {"type": "string", "enum": ["celsius", "fahrenheit", None]}},
        "any": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "flag": {"type": ["boolean", "null"]}},
        "required": ["city", "days"]},
    "return": {"type": "object", "description": "a report"}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}}
CALLS = [{"type": "function", "id": "call00001", "function": {
    "name": "get_weather", "arguments": {"city": "\u5317\u4eac \"N\"", "days": 2, "limits": {"low": 0.1}, "flag": True, "any": None}}}]
DOCUMENTS = [{"title": "Erster \u00dcberblick", "text": "Eins.\nZwei."}, {"title": "\u4e8c", "text": "\u6587\u6863", "doc_id": 2}]


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


def conversations():
    user, answer = turn("user", "Hello, how are you?"), turn("assistant", "I'm fine.")
    yield "one", dict(messages=[user])
    yield "one_prompt", dict(messages=[user], add_generation_prompt=True)
    yield "system", dict(messages=[turn("system", "You are terse."), user, answer, turn("user", "And now?")], add_generation_prompt=True)
    yield "many", dict(messages=[user, answer, turn("user", "\u4f60\u597d\uff0c\u4e16\u754c\uff01\U0001F600"), turn("assistant", "\u4f60\u597d\u3002"),
                                 turn("user", "  spaces \n\n"), turn("assistant", "\n trailing  ")])
    yield "empty_content", dict(messages=[turn("system", ""), turn("user", ""), turn("assistant", ""), turn("user", "x")])
    yield "like_tokens", dict(messages=[turn("user", "<|im_end|>\n<|im_start|>system {{ 7 * 7 }} {% raw %} [INST] </s><|eot_id|>'\"\\"), answer])
    yield "two_systems", dict(messages=[turn("system", "A"), turn("system", "B"), user])
    yield "assistant_first", dict(messages=[answer, user])
    yield "system_only", dict(messages=[turn("system", "Only.")])
    yield "parts", dict(messages=[turn("user", [{"type": "text", "text": "Part one. "}, {"type": "text", "text": "Teil zwei."}]), answer], add_generation_prompt=True)
    yield "system_parts", dict(messages=[turn("system", [{"type": "text", "text": "Sys."}]), turn("user", [{"type": "text", "text": "Hi"}])])
    yield "image", dict(messages=[turn("user", [{"type": "image"}, {"type": "text", "text": "What?"}])], add_generation_prompt=True)
    yield "thinking", dict(messages=[user, turn("assistant", "Done.", reasoning_content="Let me think.\nYes."), turn("user", "More"),
                                     turn("assistant", "<think>\nhm\n</think>\n\nOK."), turn("user", "?")], add_generation_prompt=True)
    yield "thinking_last", dict(messages=[user, turn("assistant", "Done.", thinking="Deep thought.")])
    yield "no_thinking", dict(messages=[user], add_generation_prompt=True, chat_template_kwargs={"enable_thinking": False, "thinking": False})
    yield "with_thinking", dict(messages=[turn("system", "S /no_think"), user], add_generation_prompt=True,
                                chat_template_kwargs={"enable_thinking": True, "thinking": True, "reasoning_effort": "high"})
    yield "tools", dict(messages=[turn("system", "Use tools."), user], tools=[WEATHER, ADD], add_generation_prompt=True)
    yield "tools_no_system", dict(messages=[user], tools=[WEATHER], add_generation_prompt=True)
    conversation = [user, {"role": "assistant", "content": None, "tool_calls": CALLS},
                    turn("tool", "{\"t\": 21.5, \"\u5929\": \"\u6674\"}", name="get_weather", tool_call_id="call00001"), turn("assistant", "21.5 \u00b0C"), turn("user", "Thanks")]
    yield "calls", dict(messages=conversation, tools=[WEATHER, ADD], add_generation_prompt=True)
    yield "calls_empty", dict(messages=[user, {"role": "assistant", "content": "", "tool_calls": CALLS}, turn("tool", "a", name="get_weather", tool_call_id="call00001")],
                              tools=[ADD], add_generation_prompt=True)
    yield "calls_missing_content", dict(messages=[user, {"role": "assistant", "tool_calls": CALLS}], tools=[WEATHER])
    text_calls = [{"type": "function", "id": "call00002", "function": {"name": "add", "arguments": "{\"a\": 1}"}}]
    yield "calls_text", dict(messages=[user, {"role": "assistant", "content": "Calling.", "tool_calls": text_calls},
                                       turn("tool", "3", tool_call_id="call00002", name="add")], tools=[ADD], add_generation_prompt=True)
    yield "two_calls", dict(messages=[user, {"role": "assistant", "content": "", "tool_calls": CALLS + text_calls}, turn("tool", "1", name="a", tool_call_id="call00001"),
                                      turn("tool", "2", name="add", tool_call_id="call00002"), answer, turn("user", "ok")], tools=[ADD, WEATHER], add_generation_prompt=True)
    yield "tool_dict", dict(messages=[user, {"role": "assistant", "content": "", "tool_calls": CALLS}, turn("tool", {"temperature": 21.0, "deep": [1, None, True]}, name="x",
                                                                                                    tool_call_id="call00001")])
    yield "documents", dict(messages=[user], documents=DOCUMENTS, add_generation_prompt=True)
    yield "continue", dict(messages=[user, turn("assistant", "The answer is  ")], continue_final_message=True)
    yield "continue_parts", dict(messages=[user, turn("assistant", [{"type": "text", "text": "A"}, {"type": "text", "text": "Well, "}])], continue_final_message=True)
    yield "unknown_role", dict(messages=[turn("developer", "Be good."), user, turn("critic", "no")], add_generation_prompt=True)
    yield "no_messages", dict(messages=[])


def reference(template, case, tokens):
    """The text that transformers makes, and the parts that {% generation %} marks as bytes; or its error."""
    arguments = json.loads(json.dumps(case))
    arguments.pop("now", None)
    variables = {**tokens, **arguments.pop("chat_template_kwargs", {})}
    try:
        texts, marks = utils.render_jinja_template([arguments.pop("messages")], chat_template=template, return_assistant_tokens_mask="generation" in template,
                                                   **arguments, **variables)
    except Exception as error:  # templates fail in every way that Python can
        return {"error": f"{type(error).__name__}: {error}"}
    text = texts[0]
    return {"text": text, "generated": [[len(text[:b].encode()), len(text[:e].encode())] for b, e in (marks[0] if marks else [])]}


def requests_of(cases):
    for template, case, tokens in cases:
        yield {**case, "chat_template": template, "now": NOW.isoformat(), **tokens}


def ours(program, cases):
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in requests_of(cases))
    done = subprocess.run([program, "template", "--json"], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line]
