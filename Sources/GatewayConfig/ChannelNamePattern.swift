import Glibc
import Routing

/// A key of `channel_capacity`: a shell glob for the whole name, as in channels_redis, or `re:` and a regular expression for
/// its beginning (a settings file would have a compiled expression there).
package struct ChannelNamePattern: Sendable {
  private enum Kind: Sendable {
    case glob(String)
    case regex(Router)
  }

  private let kind: Kind
  /// As it is written in the file.
  let text: String

  static let regexMark = "re:"

  /// - Throws: `PatternFault` if the regular expression is not valid.
  init(_ text: String) throws(PatternFault) {
    self.text = text
    guard text.hasPrefix(Self.regexMark) else {
      kind = .glob(text)
      return
    }
    let written = String(text.dropFirst(Self.regexMark.count))
    // Parsed by itself first, because the text that is added around it could hide a mistake.
    _ = try RoutePattern.parse(written, as: .regex, role: .prefix).get()
    let pattern = try RoutePattern.parse("^(?:\(written))", as: .regex, role: .prefix).get()
    let router = Router([RoutePath([pattern, .remainder])])
    for case .tooComplex in router.findings {
      throw PatternFault(
        .unsupported, "the pattern is too large to compile", hint: "make its repetitions smaller",
        at: 0..<written.utf8.count)
    }
    kind = .regex(router)
  }

  package func matches(_ channel: String) -> Bool {
    switch kind {
    case .glob(let glob): unsafe fnmatch(glob, channel, 0) == 0
    case .regex(let router): router.match(RequestPath(text: channel)) != nil
    }
  }
}
