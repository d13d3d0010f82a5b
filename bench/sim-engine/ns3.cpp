/*
 * The hold model on ns-3's simulator: `ns3 SCHEDULER PENDING WARM TIMED`.
 *
 * SCHEDULER is Map, Heap, Calendar, List or PriorityQueue. Prints the hash after
 * the warm-up, the hash after the timed events and the nanoseconds of
 * processor time that these took.
 * What the model does is described in hold.ts; every draw is made in its order.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <ns3/core-module.h>

using namespace ns3;

namespace {

uint32_t state = 0x2545f491;
uint32_t high = 0x9e3779b9U;
uint32_t low = 0x85ebca6bU;
uint32_t sequence = 0;
uint64_t left = 0;
std::vector<EventId> timers;

uint32_t Draw() {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

/* -log2 of a number in (0, 1], straight between powers of two, times 2^20. */
uint32_t Delay() {
  const uint32_t x = Draw();
  const int zeros = __builtin_clz(x);
  return ((zeros + 1) << 20) - (x << zeros << 1 >> 12);
}

/* Of the trace, as in simulator/clock.ts. */
void Fold(uint64_t value) {
  const uint32_t number = value;
  const uint32_t left = (high ^ number) * 0x9e3779b1U;
  const uint32_t right = (low ^ static_cast<uint32_t>(value >> 32) ^ number) * 0x5f356495U;
  high = left ^ (right >> 15);
  low = right ^ (high >> 13);
}

void Trace(uint32_t kind, uint32_t a, uint32_t b) {
  Fold(Simulator::Now().GetTimeStep());
  Fold(kind);
  Fold(a);
  Fold(b);
  if (--left == 0) Simulator::Stop();
}

void Expire(uint32_t timer, uint32_t number) { Trace(1, timer, number); }

void Hold(uint32_t entity, uint32_t number) {
  Trace(4, entity, number);
  Simulator::Schedule(TimeStep(Delay()), &Hold, entity, sequence++);
  const uint32_t choice = Draw();
  if ((choice & 3) != 0) return;
  const uint32_t timer = (choice >> 8) & (timers.size() - 1);
  Simulator::Cancel(timers[timer]);
  timers[timer] = Simulator::Schedule(TimeStep(Delay()), &Expire, timer, sequence++);
}

/* Processor time: others on the machine then count for less. */
long long Nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

std::string Serve(uint64_t events) {
  left = events;
  Simulator::Run();
  char digits[17];
  std::snprintf(digits, sizeof digits, "%08x%08x", high, low);
  return digits;
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) return 2;
  const uint32_t pending = std::strtoul(words[2], nullptr, 10);
  ObjectFactory factory;
  factory.SetTypeId(std::string("ns3::") + words[1] + "Scheduler");
  Simulator::SetScheduler(factory);
  size_t size = 1;
  while (size * 8 <= pending) size *= 2;
  timers.resize(size);
  for (uint32_t entity = 0; entity < pending; entity++) {
    Simulator::Schedule(TimeStep(Delay()), &Hold, entity, sequence++);
  }
  const std::string warm = Serve(std::strtoull(words[3], nullptr, 10));
  const long long start = Nanoseconds();
  const std::string timed = Serve(std::strtoull(words[4], nullptr, 10));
  const long long spent = Nanoseconds() - start;
  std::printf("%s %s %lld\n", warm.c_str(), timed.c_str(), spent);
  // Freeing a million pending events one by one helps nobody.
  std::fflush(stdout);
  std::_Exit(0);
}
