/// Whether a client should come again after it was refused or closed, in the words of the manual.
enum Reconnecting: String, Sendable {
  case yes
  case later = "yes, after a while"
  case withNewToken = "with a new token"
  case no
  /// An upstream or an event has decided.
  case asApplication = "as the application defines it"

  /// Whether a client that comes again without having changed anything may be accepted.
  var isUnchanged: Bool {
    switch self {
    case .yes, .later: true
    case .withNewToken, .no, .asApplication: false
    }
  }
}
