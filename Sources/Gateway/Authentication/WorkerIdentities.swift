import Consumers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

/// A session of a user, which can be ended from outside.
protocol UserSession: AnyObject {
  var identity: Identity? { get }
  func close(_ reason: CloseReason)
}

/// Who the clients of one worker are: the questions that are being answered, and the sessions of each user.
final class WorkerIdentities {
  private struct Question {
    var task: Task<Void, Never>
    var completed: (Authentication) -> Void
  }

  private var questions: [Int: Question] = [:]
  private var lastTicket = 0
  private var sessions: [ExactText: [ObjectIdentifier: any UserSession]] = [:]

  /// - Parameters:
  ///   - ask: gets the ticket of the question.
  ///   - completed: called once, on the reactor, unless the ticket is forgotten before.
  fileprivate func ask(
    _ ask: (Int) -> Task<Void, Never>, _ completed: @escaping (Authentication) -> Void
  ) -> Int {
    lastTicket += 1
    questions[lastTicket] = Question(task: ask(lastTicket), completed: completed)
    return lastTicket
  }

  func answered(_ ticket: Int, _ outcome: Authentication) {
    questions.removeValue(forKey: ticket)?.completed(outcome)
  }

  /// Nobody waits for the answer any more.
  func forget(_ ticket: Int) {
    questions.removeValue(forKey: ticket)?.task.cancel()
  }

  /// The session is one of its user from now on; nothing where it has none.
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

extension Worker {
  /// Finds out who a client is, elsewhere than on the reactor.
  ///
  /// - Returns: the ticket of the question, to be forgotten where nobody waits any more.
  func authenticate(
    _ credentials: Credentials, by auth: RouteAuth, _ completed: @escaping (Authentication) -> Void
  ) -> Int {
    ask(completed) { await $0.authenticate(credentials, by: auth) }
  }

  /// The same for a token that came in a message.
  func authenticate(
    token: String, by auth: RouteAuth, _ completed: @escaping (Authentication) -> Void
  ) -> Int {
    ask(completed) { await $0.authenticate(token: token, by: auth) }
  }

  private func ask(
    _ completed: @escaping (Authentication) -> Void,
    _ question: @escaping @Sendable (Authenticators) async -> Authentication
  ) -> Int {
    let authenticators = gateway.authenticators
    let mailbox = mailbox
    return identities.ask(
      { ticket in
        Task {
          let outcome = await question(authenticators)
          // Where the reactor has ended nobody waits.
          _ = mailbox?.post(.authenticated(ticket: ticket, outcome))
        }
      }, completed)
  }

  /// Ends the sessions of a user, those that are about to open too.
  ///
  /// - Parameter reason: for the client; at most 123 bytes.
  /// - Returns: how many there were.
  @discardableResult
  func disconnect(user: String, reason: String = "disconnected by an operator") -> Int {
    let sessions = identities.sessions(of: user)
    for session in sessions { session.close(.disconnected(reason)) }
    let waiting = Array(pending.values).count { $0.disconnect(user: user) }
    return sessions.count + waiting
  }
}
