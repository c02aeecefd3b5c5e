import GatewayConfig

// What others are about to replace.

final class NoRegister: ViewRegister {
  func enter(_ record: ViewRecord, _ noted: @escaping @Sendable (Bool) -> Void) { noted(true) }
  func change(_ record: ViewRecord) {}
  func forget(_ address: String) {}
  func ended(_ record: ViewRecord, _ end: SessionEnd) {}
}

extension ProcessState {
  var views: any ViewRegister { NoRegister() }
}

final class NoAsker: ViewAsker {
  func ask(
    _ question: ViewQuestion, _ terms: ViewTerms, _ completed: @escaping (ViewOutcome) -> Void
  ) -> Int { 0 }
  func forget(_ ticket: Int) -> Bool { false }
}

extension WorkerSessions {
  func viewAsker(of route: SessionRoute) -> any ViewAsker { NoAsker() }
}
