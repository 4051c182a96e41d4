#include "text/chat_request.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace glossa {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view origin) : origin_(origin) {}

  [[noreturn]] void refuse(std::string_view key, const OrderedJson& found, std::string_view wanted) const {
    fail(Code::chat_template, "{}: {}: found a JSON {}, wanted {}", origin_, key, found.type_name(), wanted);
  }
  bool boolean(std::string_view key, const OrderedJson& value) const {
    if (!value.is_boolean()) refuse(key, value, "true or false");
    return value.get<bool>();
  }
  std::string text(std::string_view key, const OrderedJson& value) const {
    if (!value.is_string()) refuse(key, value, "a text");
    return value.get<std::string>();
  }
  std::chrono::local_seconds time(std::string_view key, const OrderedJson& value) const {
    const std::string given = text(key, value);
    unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
    int year = 0, end = 0;
    const int fields = std::sscanf(given.c_str(), "%4d-%2u-%2u%nT%2u:%2u:%2u%n", &year, &month, &day, &end,
                                   &hour, &minute, &second, &end);
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                           std::chrono::day(day)};
    const bool whole = (fields == 3 || fields == 6) && static_cast<std::size_t>(end) == given.size();
    check(whole && date.ok() && hour < 24 && minute < 60 && second < 60, Code::chat_template,
          "{}: {}: {} is no time as 2024-07-26 or 2024-07-26T18:30:00", origin_, key, quoted(given));
    return std::chrono::local_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second);
  }
  void set(ChatRequest& request, std::string_view key, OrderedJson& value) const {
    ChatOptions& o = request.options;
    if (key == "messages")
      request.messages = std::move(value);
    else if (value.is_null())
      return known(key);
    else if (key == "tools")
      o.tools = std::move(value);
    else if (key == "documents")
      o.documents = std::move(value);
    else if (key == "add_generation_prompt")
      o.add_generation_prompt = boolean(key, value);
    else if (key == "continue_final_message")
      o.continue_final_message = boolean(key, value);
    else if (key == "bos_token")
      o.bos_token = text(key, value);
    else if (key == "eos_token")
      o.eos_token = text(key, value);
    else if (key == "chat_template")
      request.chat_template = text(key, value);
    else if (key == "chat_template_kwargs")
      o.chat_template_kwargs = std::move(value);
    else if (key == "now")
      o.now = time(key, value);
    else
      known(key);
  }

 private:
  void known(std::string_view key) const {
    static constexpr std::array<std::string_view, 10> kKeys = {
        "messages",  "tools",     "documents",     "add_generation_prompt", "continue_final_message",
        "bos_token", "eos_token", "chat_template", "chat_template_kwargs",  "now"};
    if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) return;
    const std::string near = closest(key, kKeys);
    fail(Code::chat_template, "{}: unknown key {}{}; there are {}", origin_, quoted(key),
         near.empty() ? "" : fmt::format(" (did you mean {}?)", near), fmt::join(kKeys, ", "));
  }
  const std::string_view origin_;
};

}  // namespace

ChatRequest parse_chat_request(std::string_view json, std::string_view origin, const Limits& limits) {
  OrderedJson parsed = parse_ordered_json(json, origin, limits);
  ChatRequest request;
  if (!parsed.is_object()) {
    request.messages = std::move(parsed);
    return request;
  }
  const Reader reader(origin);
  for (auto& [key, value] : parsed.items()) reader.set(request, key, value);
  return request;
}

}  // namespace glossa
