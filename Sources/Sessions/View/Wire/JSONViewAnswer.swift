import Bytes
import GatewayConfig
import JSON

/// Reads the answer to a question in Sluice's own `protocol: json`. The whole of it is checked before anything is done.
struct JSONViewAnswer {
  private let question: ViewQuestion

  init(to question: ViewQuestion) {
    self.question = question
  }

  func read(_ body: [UInt8]) throws(AnswerFault) -> ViewAnswer {
    do throws(PublishRefusal) {
      let object = try RequestObject(body, what: "the answer")
      try check(object)
      var answer = ViewAnswer()
      let list = try object.list("do") ?? []
      guard list.count <= ViewAnswer.mostActions else {
        throw PublishRefusal(
          malformed:
            "\"do\" of the answer has \(list.count) actions, and at most \(ViewAnswer.mostActions) are possible"
        )
      }
      for (number, range) in list.enumerated() {
        let action = try object.object(range, what: "item \(number + 1) of \"do\"")
        answer.actions.append(try ViewAction(action, of: question).action)
      }
      answer.state = try state(in: object)
      answer.taken = try taken(in: object)
      try readConnect(object, into: &answer)
      return answer
    } catch {
      throw AnswerFault(reason: error.row.text, hint: Self.hint)
    }
  }

  // MARK: - Members

  private static let hint =
    #"a view answers with 204, or with an object such as {"do": [{"send": {"json": {}}}], "state": {}}; what is large is kept in models or in the cache, and not in "state""#

  private static let common = ["do", "state"]
  private static let ofReceive = ["taken"]
  private static let ofConnect = ["user", "claims", "subprotocol"]

  private func check(_ object: RequestObject) throws(PublishRefusal) {
    let (names, others) =
      switch question.event {
      case .connect: (Self.common + Self.ofConnect, Self.ofReceive)
      case .receive: (Self.common + Self.ofReceive, Self.ofConnect)
      case .disconnect, .alive, .check: (Self.common, Self.ofReceive + Self.ofConnect)
      }
    if let misplaced = others.first(where: { object.value($0) != nil }) {
      throw PublishRefusal(
        malformed: "the answer to \"\(question.event.name)\" cannot have \"\(misplaced)\"")
    }
    try object.check(names)
  }

  /// - Returns: `null` for a state that is cleared; nil for one that stays.
  private func state(in object: RequestObject) throws(PublishRefusal) -> [UInt8]? {
    guard let range = object.value("state") else { return nil }
    let text = object.json(range).bytes
    guard text.count <= ViewRecord.longestState else {
      throw PublishRefusal(
        malformed:
          "the \"state\" of the answer has \(text.count) bytes, and at most \(ViewRecord.longestState) are possible"
      )
    }
    return text
  }

  private func taken(in object: RequestObject) throws(PublishRefusal) -> Int? {
    guard case .receive(let messages) = question.event, let range = object.value("taken") else { return nil }
    guard case .integer(let number) = object.json(range), (0...Int64(messages.count)).contains(number) else {
      throw PublishRefusal(malformed: "\"taken\" in the answer must be a number from 0 to \(messages.count)")
    }
    return Int(number)
  }

  /// The members that may be `null` for none: what a view looked up, and did not find.
  private func readConnect(_ object: RequestObject, into answer: inout ViewAnswer) throws(PublishRefusal) {
    // What was said of an open session before still holds.
    guard case .connect(let details, isAgain: false) = question.event else { return }
    if let user = object.present("user") {
      guard let name = JSON.object([JSON.Member(key: "user", value: user)]).userName(among: ["user"]) else {
        throw PublishRefusal(
          malformed: "\"user\" in the answer must be a name of 1 to 255 bytes, or a number")
      }
      answer.user = name
    }
    if let claims = object.present("claims") {
      guard case .object = claims else {
        throw PublishRefusal(malformed: "\"claims\" in the answer must be an object")
      }
      let length = claims.bytes.count
      guard length <= ViewAnswer.longestClaims else {
        throw PublishRefusal(
          malformed:
            "\"claims\" in the answer has \(length) bytes, and at most \(ViewAnswer.longestClaims) are possible"
        )
      }
      answer.claims = claims
    }
    if let chosen = object.present("subprotocol") {
      guard let name = chosen.string, details.subprotocols.contains(name) else {
        throw PublishRefusal(
          malformed: "\"subprotocol\" in the answer must be one of those that the client offers")
      }
      answer.subprotocol = name
    }
  }
}

extension RequestObject {
  /// The value of a member; nil for `null`, too.
  fileprivate func present(_ key: String) -> JSON? {
    value(key).map(json).flatMap { $0 == .null ? nil : $0 }
  }
}
