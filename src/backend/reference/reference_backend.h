// reference_backend.h -- the specification: every kernel as plain loops, in f32 or f64. Nothing here is fast.
#pragma once
#include "backend/backend.h"

namespace glossa {
Backend& reference_backend();
}
