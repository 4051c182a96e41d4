// text_chunk.h -- texts that are encoded together, and the reading of some while those before are encoded.
#pragma once
#include <cstddef>
#include <functional>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glossa {

// Texts side by side. `Entry`: what is known of one, its places in `text` among it.
template <class Entry>
class TextChunk {
 public:
  std::string text;

  Entry& add() {
    if (count_ == entries_.size()) entries_.emplace_back();
    return entries_[count_++];
  }
  std::span<Entry> entries() { return {entries_.data(), count_}; }
  std::size_t size() const { return count_; }
  std::string_view part(std::size_t begin, std::size_t end) const {
    return std::string_view(text).substr(begin, end - begin);
  }
  void clear() { text.clear(), count_ = 0; }

 private:
  std::vector<Entry> entries_;  // only the first count_ are in use; the others keep their memory for later
  std::size_t count_ = 0;
};

// Calls use() with one chunk after the other, as fill() fills them, until it leaves one empty. Inflating
// takes as long as encoding: the next chunk is filled by another thread while one is used.
template <class Entry>
void for_each_chunk(const std::function<void(TextChunk<Entry>&)>& fill,
                    const std::function<void(TextChunk<Entry>&)>& use) {
  TextChunk<Entry> chunk, following;
  fill(chunk);
  while (chunk.size() > 0) {
    following.clear();
    std::future<void> filling = std::async(std::launch::async, [&] { fill(following); });
    use(chunk);
    filling.get();
    std::swap(chunk, following);
  }
}

}  // namespace glossa
