import Bytes
import JSON

extension AdminClient {
  /// What a gateway answers, or whoever listens in its place.
  struct Answer: Sendable {
    var gateway: String
    var status: Int
    var json: JSON

    /// What the gateway says of why it does not do it.
    var error: String { json["error"]?.string?.printable ?? "the answer has the status \(status)" }

    /// Whether the gateway does not know what it is asked.
    var isUnknown: Bool { status == 404 && json["code"]?.string == "unknown" }
  }
}

extension AdminClient.Answer {
  /// What a member of an answer is.
  enum Kind {
    case text, integer, number, object
  }

  /// Makes sure of the members that a command reads: an answer without them is none, and nothing was done for all that is known.
  func has(_ members: [(key: String, kind: Kind)]) throws(CommandFailure) {
    for (key, kind) in members {
      switch (json[key], kind) {
      case (.string?, .text), (.integer?, .integer), (.integer?, .number), (.double?, .number),
        (.object?, .object):
        continue
      default: throw notUnderstood
      }
    }
  }

  var notUnderstood: CommandFailure {
    CommandFailure(
      "what \(gateway) answers is not understood: it may be no gateway, or one of another version; \"sluice status\" and the log of the gateway say what runs"
    )
  }
}
