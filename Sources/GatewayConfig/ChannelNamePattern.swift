import Glibc
import Routing

/// A key of `channel_capacity`: a shell glob over the whole name, as channels_redis has it, or `re:` and a regular expression
/// over its beginning, for what a settings file would write as a compiled one.
package struct ChannelNamePattern: Sendable {
  private enum Kind: Sendable {
    case glob(String)
    case regex(Router)
  }

  private let kind: Kind

  static let regexMark = "re:"

  /// - Throws: `PatternFault` where a regular expression cannot be read.
  init(_ text: String) throws(PatternFault) {
    guard text.hasPrefix(Self.regexMark) else {
      kind = .glob(text)
      return
    }
    let expression = "^(?:\(text.dropFirst(Self.regexMark.count)))"
    let pattern = try RoutePattern.parse(expression, as: .regex, role: .prefix).get()
    kind = .regex(Router([RoutePath([pattern, .remainder])]))
  }

  package func matches(_ channel: String) -> Bool {
    switch kind {
    case .glob(let glob): unsafe fnmatch(glob, channel, 0) == 0
    case .regex(let router): router.match(RequestPath(text: channel)) != nil
    }
  }
}
