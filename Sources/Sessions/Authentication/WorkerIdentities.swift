import Bytes
import Consumers
import Transport

/// A session of a user.
protocol UserSession: AnyObject {
  var identity: Identity? { get }
  func close(_ reason: CloseReason)
}

/// The authentication of one worker's clients: the requests under way, and the sessions of each user.
final class WorkerIdentities {
  private var questions = Tickets<Authentication>()
  private var tasks: [Int: Task<Void, Never>] = [:]
  private var sessions: [ExactText: [ObjectIdentifier: any UserSession]] = [:]

  /// - Parameter ask: called with the ticket of the request.
  func ask(_ completed: @escaping (Authentication) -> Void, _ ask: (Int) -> Task<Void, Never>) -> Int {
    let ticket = questions.issue(completed)
    tasks[ticket] = ask(ticket)
    return ticket
  }

  func answered(_ ticket: Int, _ outcome: Authentication) {
    tasks[ticket] = nil
    questions.redeem(ticket)?(outcome)
  }

  /// The result of the request is not needed any more.
  func forget(_ ticket: Int) {
    questions.forget(ticket)
    tasks.removeValue(forKey: ticket)?.cancel()
  }

  /// Adds a session to those of its user. Does nothing for an anonymous session.
  func add(_ session: any UserSession) {
    guard let user = Self.user(of: session) else { return }
    sessions[user, default: [:]][ObjectIdentifier(session)] = session
  }

  func remove(_ session: any UserSession) {
    guard let user = Self.user(of: session) else { return }
    sessions[user]?[ObjectIdentifier(session)] = nil
    if sessions[user]?.isEmpty == true { sessions[user] = nil }
  }

  func sessions(of user: String) -> [any UserSession] {
    sessions[ExactText(text: user)].map { Array($0.values) } ?? []
  }

  private static func user(of session: any UserSession) -> ExactText? {
    session.identity.map { ExactText(text: $0.user) }
  }
}
