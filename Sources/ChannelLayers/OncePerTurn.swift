package import Transport

/// Work that a reactor does once, at the end of each turn in which it was asked for. Confined to the reactor.
package final class OncePerTurn: EndOfTurn {
  private let reactor: Reactor
  private let work: () -> Void
  private var isDue = false

  package init(on reactor: Reactor, _ work: @escaping () -> Void) {
    self.reactor = reactor
    self.work = work
  }

  package func ask() {
    guard !isDue else { return }
    isDue = true
    reactor.atEndOfTurn(self)
  }

  package func endOfTurn() {
    isDue = false
    work()
  }
}
