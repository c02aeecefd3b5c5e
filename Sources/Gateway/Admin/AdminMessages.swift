import JSON

/// What a command asks a running gateway.
struct AdminRequest: Sendable, Hashable {
  var method: String
  /// Without a query.
  var path: String
  /// Of `Authorization: Bearer`.
  var token: String?
  /// JSON, or nothing.
  var body: [UInt8] = []
}

/// What the gateway answers.
struct AdminAnswer: Sendable, Hashable {
  /// Of HTTP.
  var status: Int
  var body: JSON
  /// What the path takes, where the request has asked for something else.
  var allowed: String?

  init(_ body: JSON, status: Int = 200, allowed: String? = nil) {
    self.status = status
    self.body = body
    self.allowed = allowed
  }

  /// A refusal.
  ///
  /// - Parameters:
  ///   - code: for programs.
  ///   - sentence: for people.
  static func refused(_ status: Int, _ code: String, _ sentence: String, _ more: JSON = [:]) -> AdminAnswer {
    let body: JSON = ["error": .string(sentence), "code": .string(code)]
    return AdminAnswer(body.with(more), status: status)
  }
}
