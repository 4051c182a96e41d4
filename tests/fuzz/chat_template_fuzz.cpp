// chat_template_fuzz.cpp -- bytes as a template, a zero byte, and a conversation (a list of messages, or an object of them and what goes
// with them): it is refused by an Error, or gives text that is UTF-8, twice the same.
#include "base/error.h"
#include "base/unicode.h"
#include "fuzz.h"
#include "text/chat_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  const std::string_view all = fuzz_text(data, size);
  const std::size_t end = all.find('\0');
  constexpr std::string_view kMessages = R"([{"role": "user", "content": "A dog, \u72d7!"}, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}])";
  const std::string_view messages = end == std::string_view::npos ? kMessages : all.substr(end + 1);
  TemplateLimits limits;
  limits.steps = 20'000;  // what is slow would look like what hangs
  limits.text_bytes = 8u << 20;
  limits.output_bytes = 1u << 20;
  limits.range = 1'000;
  read_or_refused([&] {
    ChatRequest request = parse_chat_request(messages, "messages");
    request.options.now = std::chrono::local_seconds(std::chrono::seconds(1'700'000'000));
    request.options.mark_generated = size % 2 != 0;
    const ChatTemplate chat = ChatTemplate::parse(all.substr(0, end), "template", {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, limits);
    const RenderedChat result = chat.render(request.messages, request.options);
    require(!utf8_error(result.text).has_value());
    require(chat.render(request.messages, request.options).text == result.text);
    for (const auto& [begin, stop] : result.generated) require(begin <= stop && stop <= result.text.size());
    return true;
  });
  return 0;
}
