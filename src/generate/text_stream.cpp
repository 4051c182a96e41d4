#include "generate/text_stream.h"

#include <algorithm>

namespace glossa {

TextStream::TextStream(Tokenizer tokenizer, std::vector<std::string> stop_strings, bool skip_special)
    : stream_(std::move(tokenizer), skip_special), stops_(std::move(stop_strings)) {
  std::erase(stops_, "");
}

std::string TextStream::release(bool all) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    stopped_ = true;
    held_.resize(first);
    all = true;
  }
  // The longest end that some stop string begins with.
  std::size_t kept = 0;
  for (const std::string& stop : stops_)
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); !all && n > kept; --n)
      if (std::string_view(held_).ends_with(std::string_view(stop).substr(0, n))) kept = n;
  std::string text = held_.substr(0, held_.size() - kept);
  held_.erase(0, text.size());
  return text;
}

std::string TextStream::push(Token token) {
  if (stopped_) return "";
  held_ += stream_.push(token);
  return release(false);
}

std::string TextStream::finish() {
  if (stopped_) return "";
  held_ += stream_.finish();
  return release(true);
}

}  // namespace glossa
