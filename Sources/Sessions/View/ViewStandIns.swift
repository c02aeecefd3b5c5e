final class NoAsker: ViewAsker {
  func ask(
    _ question: ViewQuestion, _ terms: ViewTerms, _ completed: @escaping (ViewOutcome) -> Void
  ) -> Int { 0 }
  func forget(_ ticket: Int) -> Bool { false }
}

extension WorkerSessions {
  func viewAsker(of route: SessionRoute) -> any ViewAsker { NoAsker() }
}
