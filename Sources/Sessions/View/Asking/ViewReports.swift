import GatewayConfig
import Logging
import Synchronization
import Transport

/// Tells the operator what is wrong with the view of a route: the first of several failures, that the view answers nobody, that it answers
/// again, and answers that cannot be used. Nothing for each message.
final class ViewReports: Sendable {
  private let route: String
  private let question: QuestionConfiguration
  private let failures: UpstreamFailures
  private let log: Logger
  /// Answers that cannot be used: a view with a mistake may give one for each session.
  private let pace = SharedLogPace(most: 5, every: .seconds(10))
  /// The first ones of a kind have a pace of their own, so that those that come again and again do not hide a new mistake.
  private let paceOfFirst = SharedLogPace(most: 20, every: .seconds(10))
  private let told = Mutex<Set<String>>([])
  /// The most kinds that are told apart: a reason has words of the view.
  private static let mostKinds = 100
  /// Whether the view has ever done what a question asks, or a line has said that it may not believe them.
  private let isBelieved = Atomic(false)

  init(
    of route: String, _ question: QuestionConfiguration, failures: UpstreamFailures, log: Logger
  ) {
    self.route = route
    self.question = question
    self.failures = failures
    self.log = log
  }

  /// - Parameter fault: of the question that has brought the change.
  func tell(_ change: ViewCircuit.Change?, _ fault: AnswerFault?, of asked: ViewQuestion) {
    switch change {
    case nil: break
    case .firstFailure: tell(fault, of: asked)
    case .opened(let count):
      log.warning(
        "a view does not answer: it is asked once a second until it does",
        metadata: facts(["reason": fault.map { "\($0.reason)" }, "hint": fault?.hint])
          .merging(["failures": .number(count)]) { $1 })
    case .closed(let time):
      log.info(
        "a view answers again",
        metadata: facts([:]).merging(["after-ms": .number(Int(time / .milliseconds(1)))]) { $1 })
    }
  }

  private func tell(_ fault: AnswerFault?, of asked: ViewQuestion) {
    guard let fault else { return }
    failures.record(
      question.url, of: .view(route: route, url: question.shownURL), target: asked.session.map(\.pathBytes),
      question: (asked.event.name, asked.id), fault.reason, hint: fault.hint)
  }

  /// An answer cannot be used.
  func tellUnusable(_ fault: AnswerFault, of asked: ViewQuestion) {
    let kind = "\(asked.event.name) \(fault.reason)"
    let isFirst = told.withLock { $0.count < Self.mostKinds && $0.insert(kind).inserted }
    failures.record(
      question.url, of: .view(route: route, url: question.shownURL), target: asked.session.map(\.pathBytes),
      question: (asked.event.name, asked.id), fault.reason, hint: fault.hint,
      paced: isFirst ? paceOfFirst : pace)
  }

  /// Whether the view has ever done what a question asks.
  var hasBelieved: Bool { isBelieved.load(ordering: .relaxed) }

  /// The view has done what a question asks: the signature was good.
  func believed() {
    guard !isBelieved.load(ordering: .relaxed) else { return }
    isBelieved.store(true, ordering: .relaxed)
  }

  /// A client was refused with 401, with which a view may mean the signature without saying so. Told once, and only of a view that has never
  /// let anybody in.
  func tellOfDoubt(of asked: ViewQuestion) {
    guard !isBelieved.exchange(true, ordering: .relaxed) else { return }
    tellUnusable(
      AnswerFault(
        reason:
          "the view refuses the first client with 401: because of the client, or because of the signature",
        hint:
          "where it is the signature, compare the secret of the route with the view's, and the clocks; a view that answers 401 for it with \"WWW-Authenticate: Sluice\" is told apart"
      ), of: asked)
  }

  private func facts(_ others: [String: String?]) -> Logger.Metadata {
    var facts: Logger.Metadata = ["route": "\(route)", "url": "\(question.shownURL)"]
    for (name, value) in others { if let value { facts[name] = "\(value)" } }
    return facts
  }
}

extension ViewRecord {
  fileprivate var pathBytes: [UInt8] { Array(path.utf8) }
}
