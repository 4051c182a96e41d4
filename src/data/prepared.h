// prepared.h -- encoded data with the report on it, from the cache of an earlier run if that serves, or built
// anew.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "data/cache_layout.h"

namespace glossa {

template <class Dataset, class Report>
struct Prepared {
  Dataset data;
  Report report;
  bool from_cache = false;
  std::string rebuilt_because;  // why a cache that was there did not serve; or ""
};

// A count of a report under the name that it has in the description of a cache.
template <class Report>
struct Count {
  const char* name;
  std::uint64_t Report::*value;
};

// How many of the texts of `held_out` are also in `train`, by their hashes. `count`: of the texts of a
// dataset.
template <class Dataset>
std::uint64_t count_overlap(const Dataset& train, const Dataset& held_out,
                            std::uint64_t (Dataset::*count)() const) {
  std::unordered_multiset<std::uint64_t> wanted;
  for (std::uint64_t i = 0; i < (held_out.*count)(); ++i) wanted.insert(held_out.hash(i));
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; i < (train.*count)() && !wanted.empty(); ++i)
    found += wanted.erase(train.hash(i));
  return found;
}

template <class Report, std::size_t N>
std::string describe(const std::array<Count<Report>, N>& counts, const Report& report,
                     const std::string& key) {
  OrderedJson numbers;
  for (const auto& c : counts) numbers[c.name] = report.*c.value;
  return to_text({{"key", key}, {"report", numbers}, {"unknown_example", report.unknown_example}});
}

template <class Dataset, class Report, std::size_t N>
struct CacheUse {
  fs::path file;        // empty: in memory
  std::string key;      // of everything that the result depends on; "" where it cannot be known: nothing of
                        // earlier is taken
  const char* changed;  // what a key that differs says, in words
  const std::array<Count<Report>, N>& counts;
  // Writes the layout that Dataset reads, with describe() of the report.
  std::function<Report(const std::function<void(std::string_view)>& write)> build;

  Prepared<Dataset, Report> operator()() const {
    Prepared<Dataset, Report> out;
    if (file.empty()) {
      auto bytes = std::make_shared<std::string>();
      out.report = build([&](std::string_view part) { bytes->append(part); });
      out.data = Dataset::of_memory(std::move(bytes));
      return out;
    }
    if (take(out)) return out;
    AtomicFile written(file);
    out.report = build([&](std::string_view part) { written.write(part); });
    written.commit();
    out.data = Dataset::of_file(file);
    return out;
  }

 private:
  // The cache of an earlier run, if it serves; else out.rebuilt_because says why it does not.
  bool take(Prepared<Dataset, Report>& out) const {
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return false;
    try {
      check(!key.empty(), Code::text_data, "its data came from standard input");
      Dataset data = Dataset::of_file(file);
      const Json json = parse_json(data.description(), shown(file));
      const JsonView view(json, shown(file));
      check(view.string("key", "") == key, Code::text_data, "{}", changed);
      const JsonView numbers(json.at("report"), shown(file));
      Report report;
      for (const auto& c : counts)
        report.*c.value = static_cast<std::uint64_t>(numbers.integer(c.name, 0, 0, INT64_MAX));
      report.unknown_example = view.string("unknown_example", "");
      out = {std::move(data), std::move(report), true, ""};
      return true;
    } catch (const Error& error) {
      out.rebuilt_because = error.what();
      return false;
    }
  }
};

}  // namespace glossa
