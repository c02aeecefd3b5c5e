import Synchronization

/// The members of a process whose addresses name another reactor than the one that they are on: the process before has had more of them.
/// Shared by all reactors' ends of a layer.
package final class MovedMembers: Sendable {
  private struct State {
    /// By the reactor in the addresses.
    var places: [Int: Set<Int>] = [:]
    var lastSerials: [Int: UInt32]
  }

  private let state: Mutex<State>

  init(_ lastSerials: [Int: UInt32]) {
    state = Mutex(State(lastSerials: lastSerials))
  }

  /// For reactors that are not there any more, or were not there once: the last serial that each has given away. One with the same number
  /// that comes later gives away others.
  var lastSerials: [Int: UInt32] { state.withLock(\.lastSerials) }

  /// The reactors besides the one in an address that may have the member.
  package func reactors(of member: MemberNumber) -> Set<Int> {
    state.withLock { $0.places[Int(member.home)] ?? [] }
  }

  func add(_ homes: some Sequence<UInt16>, on reactor: Int) {
    state.withLock { state in
      for home in homes { state.places[Int(home), default: []].insert(reactor) }
    }
  }

  func note(lastSerial: UInt32, of reactor: Int) {
    state.withLock { $0.lastSerials[reactor] = lastSerial }
  }
}
