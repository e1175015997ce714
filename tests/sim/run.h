#pragma once

#include <cstdint>

#include "plan.h"

namespace rc::sim {

/// Runs one seed to its end: the server from its start to its last core's end, with everything that the seed
/// has drawn for it. Ends the process if anything that must hold does not.
/// @param steps  of the part with faults; 0: as the seed has it
/// @return the digest
uint64_t run(uint64_t seed, uint32_t steps, Histogram& histogram);
/// Some runs whose memory is not counted, since libraries keep what they allocate first.
void warm_up(Histogram& histogram);

}  // namespace rc::sim
