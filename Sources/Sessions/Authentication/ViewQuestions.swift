import Bytes
import GatewayConfig
import JSON
import Routing
import Synchronization
import WebSocketCore

/// Asks one view about clients: it remembers the answers where the file wants it, and shares those that several clients wait for.
final class ViewQuestions: Sendable {
  let configuration: QuestionConfiguration
  let server: UpstreamFetcher
  private let failures: UpstreamFailures
  private let cache: AnswerCache
  private let shared = SharedQuestions()
  /// Those about open sessions.
  private let sharedRechecks = SharedQuestions()
  private let check: Check
  /// A line has told of groups that a route passes over.
  private let hasToldOfGroups = Atomic(false)
  /// Questions about open sessions that are under way.
  private let rechecks = Atomic(0)

  /// Looks at an answer that lets in.
  ///
  /// - Parameter members: the object of the answer; nil for 204.
  /// - Returns: why it cannot be used; nil if it can.
  typealias Check = @Sendable (_ members: JSON?) -> AnswerFault?

  /// The longest answer that is read. Every session keeps what lets it in.
  private static let longestAnswer = 16 * 1024
  /// How many questions about open sessions may be under way, so that they do not hold up the handshakes.
  private static let mostRechecks = 16

  init(
    _ configuration: QuestionConfiguration, server: UpstreamFetcher, failures: UpstreamFailures,
    check: @escaping Check
  ) {
    self.configuration = configuration
    self.server = server
    self.failures = failures
    self.check = check
    cache = AnswerCache(accepted: configuration.cache, refused: configuration.cacheRefusals)
  }

  /// - Parameter isRecheck: whether an answer of before does not count. If too many such questions are under way, the view is not
  ///   asked.
  func ask(_ question: Question, isRecheck: Bool) async -> Verdict {
    let key = question.key
    guard isRecheck else {
      if let known = cache.verdict(for: key) { return known }
      return await shared.answer(to: key) { [self] in await fetch(question, key) }
    }
    return await sharedRechecks.answer(to: key) { [self] in
      defer { rechecks.down() }
      guard rechecks.up() <= Self.mostRechecks else {
        failures.recordSlowRecheck(configuration.url, of: server.user, waiting: Self.mostRechecks)
        return .unavailable
      }
      return await fetch(question, key, isRecheck: true)
    }
  }

  /// An answer cannot be used for what its client wants.
  func unusable(_ fault: AnswerFault) -> Authentication {
    _ = fail(fault)
    return .unavailable
  }

  /// Why the groups of an answer cannot be used; nil if they can. A route that takes none passes them over.
  func groupFault(in answer: JSON, for groups: GroupsFromView?) -> AnswerFault? {
    if let groups { return groups.fault(in: answer) }
    if answer.groupNames?.isEmpty == false, !hasToldOfGroups.exchange(true, ordering: .relaxed) {
      failures.recordGroupsPassedOver(configuration.url, of: server.user)
    }
    return nil
  }

  private func fetch(_ question: Question, _ key: Question.Key, isRecheck: Bool = false) async -> Verdict {
    do {
      let answer = try await answer(to: question)
      let verdict: Verdict
      switch judge(answer, to: question) {
      case .success(let judged): verdict = judged
      case .failure(let fault): verdict = fail(fault)
      }
      cache.keep(verdict, bytes: answer.body?.count ?? 0, for: key)
      return verdict
    } catch is CancellationError {
      // A session that ends while it is asked about is nothing to tell of.
      return isRecheck ? .unavailable : fail(AnswerFault(reason: "the client left before the answer arrived"))
    } catch {
      return fail(AnswerFault(error, from: server.upstream))
    }
  }

  /// Asks once, whatever is remembered, for `validate --connect`: nothing is counted, and no line is written.
  func tried(_ question: Question) async -> TriedQuestion {
    do {
      let answer = try await answer(to: question)
      return TriedQuestion(question: question, answer: answer, outcome: judge(answer, to: question))
    } catch {
      return TriedQuestion(question: question, outcome: .failure(AnswerFault(error, from: server.upstream)))
    }
  }

  private func answer(to question: Question) async throws -> UpstreamFetcher.Answer {
    try await server.fetch(
      target: question.target, question.fields, within: configuration.timeout, longest: Self.longestAnswer)
  }

  // MARK: - The answer

  private func judge(
    _ answer: UpstreamFetcher.Answer, to question: Question
  ) -> Result<Verdict, AnswerFault> {
    let page = DjangoPage(answer, to: question)
    switch answer.status {
    case 200...299:
      guard let body = answer.body else {
        return .failure(AnswerFault(reason: "the answer is longer than 16 KiB"))
      }
      if let page { return .failure(AnswerFault(reason: page.found, hint: page.hint)) }
      var members: JSON?
      if answer.status != 204 {
        members = try? JSON.parse(body.rawBytes, strings: .compared)
        guard case .object = members else {
          return .failure(AnswerFault(reason: "the server answered \(answer.status) without a JSON object"))
        }
      }
      if let fault = check(members) { return .failure(fault) }
      return .success(.accepted(members))
    case 401, 403: return .success(.refused(refusal(answer, detail: page?.found)))
    case 404 where !configuration.places.isEmpty:
      return .success(.refused(refusal(answer, detail: page?.found)))
    case 429: return .success(.refused(refusal(answer)))
    default:
      return .failure(
        AnswerFault(
          reason: page?.found ?? answer.found, hint: page?.hint ?? answer.hint(for: question.target)))
    }
  }

  private func refusal(_ answer: UpstreamFetcher.Answer, detail: String? = nil) -> AuthRefusal {
    var refusal = AuthRefusal(answer: answer.refusal(otherwise: .notFoundByCallback))
    refusal.detail = detail
    refusal.asked = server.user
    return refusal
  }

  private func fail(_ fault: AnswerFault) -> Verdict {
    failures.record(configuration.url, of: server.user, status: 503, fault.reason, hint: fault.hint)
    return .unavailable
  }
}

/// Why an answer that lets in cannot be used, for the operator.
struct AnswerFault: Error, Sendable {
  var reason: String
  var hint: String?

  /// What every answer has to fulfil.
  init?(in members: JSON) {
    do throws(TokenFault) {
      if members["exp"] != .null { _ = try members.time("exp") }
    } catch {
      self.init(reason: "the exp of the answer is not a number")
      return
    }
    if case .array(let names)? = members["groups"], names.count > JSON.mostGroups {
      self.init(reason: "the answer has \(names.count) groups, and at most \(JSON.mostGroups) are possible")
      return
    }
    return nil
  }

  init(reason: String, hint: String? = nil) {
    self.reason = reason
    self.hint = hint
  }
}
