import CLinux
import Glibc

/// How this process takes memory from the system and gives it back.
public enum ProcessMemory {
  /// More heaps would only keep more free memory apart, as there are few threads.
  private static let mostArenas: Int32 = 4

  /// Keeps free memory from staying with the process, as the allocator has eight heaps for each processor by default. To be called
  /// before other threads are started.
  ///
  /// From which size on blocks are pages of their own is left to the allocator, which learns it: with a fixed 256 KiB an echo of 1 MiB
  /// took a quarter more of the processor, and with a fixed 4 MiB the contexts of sessions that had ended kept some 15 MB more in the
  /// heaps. What stays after a flood goes back by `trim`.
  public static func settle() {
    mallopt(M_ARENA_MAX, mostArenas)
  }

  /// Returns all free pages of the heaps to the system. Allocations wait while a heap is trimmed.
  public static func trim() {
    malloc_trim(0)
  }

  /// Resident bytes that do not belong to a file; nil if the system does not tell.
  public static var resident: Int? {
    guard let text = SmallFile.contents(of: "/proc/self/statm") else { return nil }
    let fields = text.split(separator: " ")
    guard fields.count > 2, let pages = Int(fields[1]), let ofFiles = Int(fields[2]) else { return nil }
    return (pages - ofFiles) * sysconf(Int32(_SC_PAGESIZE))
  }

  /// Processor time that all threads of the process have used so far.
  public static var processorTime: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}

/// Decides when free memory is returned to the system: once a flood has ended. It has no clock or system calls of its own and
/// gets the measurements as samples.
public struct MemoryReturn {
  /// How many samples in a row have to be quiet.
  static let quietSamples = 2
  /// A load below this always counts as quiet.
  static let quietLoad = 0.25
  /// Growth below this is not worth the pause. Bytes.
  static let leastGrowth = 4 << 20

  /// After a return that freed little, the number of samples before the next try. Memory that was in use then may be free now,
  /// which cannot be seen from outside. Doubled each time while the process stays quiet.
  static let firstWait = 10
  static let longestWait = 640

  /// The lowest resident memory so far.
  private var least: Int?
  /// The resident memory after the last return, or the lowest since.
  private var settled: Int?
  /// What was freed since the last return, and not needed again.
  private var unused = 0
  /// The highest load since the last return.
  private var peak = 0.0
  private var quiet = 0
  private var wait = firstWait
  private var samplesSinceReturn = 0

  public init() {}

  /// Takes a sample.
  ///
  /// - Parameter load: processor time used since the last sample; 1 is one busy processor.
  /// - Returns: whether to give memory back now.
  public mutating func isDue(resident: Int, load: Double) -> Bool {
    let least = min(least ?? resident, resident)
    self.least = least
    let settled = min(settled ?? resident, resident)
    self.settled = settled
    peak = max(peak, load)
    samplesSinceReturn += 1
    guard load <= max(Self.quietLoad, peak / 2) else {
      quiet = 0
      wait = Self.firstWait
      return false
    }
    quiet += 1
    guard quiet >= Self.quietSamples else { return false }
    if Self.isMuch(resident, beside: max(0, settled - unused)) { return true }
    return samplesSinceReturn > wait && Self.isMuch(resident, beside: least)
  }

  /// Notes a change of what this process needs, which cannot be seen from outside: what it freed may be used again by the
  /// allocator, but is still resident.
  ///
  /// - Parameter bytes: how much less it needs than at the last call; negative for more.
  public mutating func freed(_ bytes: Int) {
    unused = max(0, unused + bytes)
  }

  /// Notes that memory was returned, and the resident memory that is left.
  public mutating func returned(_ resident: Int) {
    if samplesSinceReturn > wait { wait = min(wait * 2, Self.longestWait) }
    settled = resident
    unused = 0
    peak = 0
    quiet = 0
    samplesSinceReturn = 0
  }

  private static func isMuch(_ resident: Int, beside needed: Int) -> Bool {
    resident > needed + max(leastGrowth, needed / 4)
  }
}
