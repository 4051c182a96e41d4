// run_state_fuzz.cpp -- any bytes as the trainer_state.json of a checkpoint: refused by an Error, or read, and then what is
// written of it is read the same.
#include "base/error.h"
#include "fuzz.h"
#include "train/checkpoints.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  try {
    const RunState state = RunState::from_json(parse_ordered_json(fuzz_text(data, size), "trainer_state.json"), "trainer_state.json");
    const std::string written = to_text(state.to_json());
    require(to_text(RunState::from_json(parse_ordered_json(written, "written"), "written").to_json()) == written);
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
