import Bytes
import Consumers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

/// A session of a user, which another process or request can end.
protocol UserSession: AnyObject {
  var identity: Identity? { get }
  func close(_ reason: CloseReason)
}

/// The authentication of one worker's clients: the requests under way, and the sessions of each user.
final class WorkerIdentities {
  private var questions = Tickets<Authentication>()
  private var tasks: [Int: Task<Void, Never>] = [:]
  private var sessions: [ExactText: [ObjectIdentifier: any UserSession]] = [:]

  /// - Parameters:
  ///   - ask: called with the ticket of the request.
  ///   - completed: called once, on the reactor, unless the ticket is forgotten before.
  fileprivate func ask(
    _ ask: (Int) -> Task<Void, Never>, _ completed: @escaping (Authentication) -> Void
  ) -> Int {
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

extension Worker {
  /// Authenticates a client outside of the reactor.
  ///
  /// - Returns: the ticket of the request, which must be forgotten if the result is not needed any more.
  func authenticate(
    _ credentials: Credentials, by auth: RouteAuth, _ completed: @escaping (Authentication) -> Void
  ) -> Int {
    ask(completed) { await $0.authenticate(credentials, by: auth) }
  }

  /// The same for a token in a message.
  func authenticate(
    token: String, by auth: RouteAuth, _ completed: @escaping (Authentication) -> Void
  ) -> Int {
    ask(completed) { await $0.authenticate(token: token, by: auth) }
  }

  private func ask(
    _ completed: @escaping (Authentication) -> Void,
    _ question: @escaping @Sendable (Authenticators) async -> Authentication
  ) -> Int {
    let authenticators = served.authenticators
    let mailbox = mailbox
    return identities.ask(
      { ticket in
        // Kept under its ticket, and cancelled when the ticket is forgotten.
        Task {
          let outcome = await question(authenticators)
          // If the reactor has ended, no session waits for the result.
          _ = mailbox?.post(.authenticated(ticket: ticket, outcome))
        }
      }, completed)
  }

  /// Ends the sessions of a user, including those that are opening.
  ///
  /// - Parameter reason: for the client; at most 123 bytes.
  /// - Returns: how many sessions there were.
  @discardableResult
  func disconnect(user: String, reason: String = CloseReason.disconnected.text) -> Int {
    let sessions = identities.sessions(of: user)
    for session in sessions { session.close(.disconnected(reason)) }
    let waiting = Array(pending.values).count { $0.disconnect(user: user) }
    return sessions.count + waiting
  }
}
