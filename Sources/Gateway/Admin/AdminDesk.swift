import Bytes
import GatewayConfig
import JSON

/// What commands can have a running gateway do. Every answer is one to a request whose caller may ask for it.
protocol AdminOperations: Sendable {
  /// What runs, and how it is.
  func status() async -> JSON
  /// How far it is with what it does: a sign of life, for those who wait.
  func signOfLife() -> JSON
  /// Brings the gateway to what its file says now, or back to what it said before.
  func reload(_ order: ReloadOrder, for asker: Asker) async -> AdminAnswer
  /// The configuration that is served, without its secrets.
  func config(_ order: ConfigOrder) async -> AdminAnswer
  /// What a reload of a file would do; it changes nothing.
  func plan(_ order: PlanOrder, for asker: Asker) async -> AdminAnswer
  /// Stops the gateway, and answers when its last session has ended.
  func drain(_ order: DrainOrder, for asker: Asker) async -> AdminAnswer
  /// Executes another program in the place of this one.
  ///
  /// - Parameter tried: told once the program has shown that it can take over: the process cannot answer behind that.
  /// - Returns: only where nothing was executed: why.
  func upgrade(
    _ order: UpgradeRequest, for asker: Asker, tried: @escaping @Sendable (AdminAnswer) -> Void
  ) async -> AdminAnswer
}

/// Reads the requests of commands, and has them carried out: one that changes something at a time.
struct AdminDesk: Sendable {
  private let operations: any AdminOperations
  private let gate: OperationGate

  init(_ operations: any AdminOperations, gate: OperationGate) {
    self.operations = operations
    self.gate = gate
  }

  private enum Action: String, CaseIterable {
    case status, progress, config, reload, plan, drain, upgrade

    var path: String { "/" + rawValue }
    var method: String { [.status, .progress].contains(self) ? "GET" : "POST" }

    var kind: AdminPlaces.Kind {
      switch self {
      case .progress: .sign
      case .status: .question
      case .config, .plan: .plan
      case .reload, .drain, .upgrade: .order
      }
    }
  }

  /// What a request costs. What is none is refused at once.
  static func kind(of request: AdminRequest) -> AdminPlaces.Kind {
    Action.allCases.first { $0.path == request.path }?.kind ?? .sign
  }

  private static let known = Action.allCases.map { "\($0.method) \($0.path)" }.joined(separator: ", ")

  func answer(_ request: AdminRequest, from asker: Asker) async -> AdminAnswer {
    guard let action = Action.allCases.first(where: { $0.path == request.path }) else {
      return .refused(404, "unknown", "there is nothing at this path; known here: \(Self.known)")
    }
    guard request.method == action.method else {
      var answer = AdminAnswer.refused(405, "method", "\(action.path) takes \(action.method)")
      answer.allowed = action.method
      return answer
    }
    do {
      switch action {
      case .status: return AdminAnswer(await operations.status())
      case .progress: return AdminAnswer(operations.signOfLife())
      case .config: return await operations.config(try ConfigOrder(reading: request))
      case .plan: return await operations.plan(try PlanOrder(reading: request), for: asker)
      case .reload:
        let order = try ReloadOrder(reading: request)
        return try await gate.perform("reload", for: asker) { await operations.reload(order, for: asker) }
      case .drain:
        let order = try DrainOrder(reading: request)
        return try await gate.perform("drain", for: asker) { await operations.drain(order, for: asker) }
      case .upgrade: return try await upgrade(try UpgradeRequest(reading: request), for: asker)
      }
    } catch let fault as AdminOrderFault {
      return .refused(400, "bad-request", fault.description)
    } catch let busy as OperationGate.Busy {
      return .refused(409, "busy", busy.operation.sentence, ["under_way": busy.operation.json])
    } catch {
      return .refused(500, "internal", "\(error)")
    }
  }

  /// Answers when the program was tried, and lets nothing else be done until it is executed, or was refused.
  private func upgrade(_ order: UpgradeRequest, for asker: Asker) async throws -> AdminAnswer {
    let (answers, answer) = AsyncThrowingStream<AdminAnswer, any Error>.makeStream()
    Task {
      do {
        let refusal = try await gate.perform("upgrade", for: asker) {
          await operations.upgrade(order, for: asker) { answer.yield($0) }
        }
        answer.yield(refusal)
        answer.finish()
      } catch {
        answer.finish(throwing: error)
      }
    }
    for try await first in answers { return first }
    return .refused(500, "internal", "there is no answer")
  }
}
