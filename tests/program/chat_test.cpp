#include "base/json.h"
#include "shell.h"

// `glossa chat` on the small random LLaMA of tests/golden, whose tokens are letters, with templates of letters.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ChatCommand : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    put_letters_model();
    put("model/chat_template.jinja",
        "{% for m in messages %}{{ m.role[0] }}{{ m.content }}z{% endfor %}{% if add_generation_prompt %}a{% endif %}");
  }
};

TEST_F(ChatCommand, EachLineIsAMessageAndTheConversationIsRemembered) {
  const Outcome one = shell("printf 'hello\\nworld\\n' | glossa chat -m model -n 5 --temp 0 --sys be");
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_THAT(one.err, AllOf(HasSubstr(" written"), HasSubstr("more were known"), HasSubstr("tokens/s")));
  // The same by hand: the text that the template makes, and then what follows.
  const std::string first = shell("glossa -q generate -m model -p sbezuhelloza -n 5 --temp 0").out;
  ASSERT_GT(first.size(), 1u);
  const std::string second = shell("glossa -q generate -m model -p sbezuhelloza" + first.substr(0, first.size() - 1) + "zuworldza -n 5 --temp 0").out;
  EXPECT_EQ(one.out, first + second);
  EXPECT_EQ(shell("glossa -q chat -m model -p hello --sys be -n 5 --temp 0 < /dev/null").out, first);
}

TEST_F(ChatCommand, TheTemplateMayBeAnother) {
  EXPECT_EQ(shell("glossa -q chat -m model -p abc -n 6 --temp 0 --chat-template '{{ messages[0].content }}' < /dev/null").out,
            shell("glossa -q generate -m model -p abc -n 6 --temp 0").out);
  put("x.jinja", "{{ tail }}");
  EXPECT_EQ(shell("glossa -q chat -m model -p abc -n 6 --temp 0 --chat-template-file x.jinja --chat-template-kwargs '{\"tail\": \"xyz\"}' "
                  "< /dev/null").out,
            shell("glossa -q generate -m model -p xyz -n 6 --temp 0").out);
  const Outcome none = shell("cp -r model bare && rm bare/chat_template.jinja && glossa chat -m bare -p abc < /dev/null");
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.err, AllOf(HasSubstr("bare: the model has no chat template"), HasSubstr("--chat-template-file")));
  EXPECT_EQ(shell("glossa chat -m model -p abc --chat-template a --chat-template-file x.jinja < /dev/null").status, 2);
  // B23: a template that never ends is stopped, and says by what.
  const Outcome endless = shell("glossa chat -m model -p abc --chat-template '{% for i in range(10 ** 9) %}{% endfor %}' < /dev/null");
  EXPECT_EQ(endless.status, 5) << endless.err;
}

TEST_F(ChatCommand, AnAnswerHasAToken) {
  refused("glossa chat -m model -p abc -n 0 < /dev/null", 2, {"--predict 0"});
}

TEST_F(ChatCommand, WithoutATerminalEachLineIsAMessage) {
  EXPECT_EQ(shell("printf '/clear\\n' | glossa chat -m model -n 2 --temp 0").status, 0);
}

TEST_F(ChatCommand, AFullContextIsSaidOrForgotten) {
  const std::string lines = "printf 'aaaaaaaaaa\\nbbbbbbbbbb\\ncccccccccc\\n' | glossa chat -m model -n 2 --temp 0 -c 32";
  const Outcome full = shell(lines);
  EXPECT_EQ(full.status, 5);
  EXPECT_THAT(full.err, AllOf(HasSubstr("the context holds 32"), HasSubstr("--context-shift")));
  EXPECT_EQ(shell(lines + " --context-shift").status, 0);
}

TEST_F(ChatCommand, InATerminalThereAreCommandsAndHistory) {
  const std::string typed = "hello\\n/undo\\n/undo\\n\\\"\\\"\\\"\\nab\\ncd\\\"\\\"\\\"\\n/save kept.json\\n/clear \\n/load kept.json\\n/retry\\n/no\\n/exit\\n";
  const Outcome o = shell("export HOME=$PWD XDG_STATE_HOME= TERM=xterm; (sleep 0.5; printf \"" + typed +
                          "\"; sleep 1) | script -qec '" GLOSSA_PROGRAM " chat -m model -n 3 --temp 0' /dev/null");
  EXPECT_EQ(o.status, 0) << o.out;
  EXPECT_THAT(o.out, AllOf(HasSubstr("/help lists commands"), HasSubstr("there is nothing to take back"), HasSubstr("is no command")));
  const Json kept = Json::parse(text("kept.json"));
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0]["content"], "ab\ncd");
  EXPECT_EQ(kept[1]["role"], "assistant");
  EXPECT_THAT(text(".local/state/glossa/chat-history"), AllOf(HasSubstr("hello"), HasSubstr("/save\\040kept.json")));
}

}  // namespace
}  // namespace glossa::test
