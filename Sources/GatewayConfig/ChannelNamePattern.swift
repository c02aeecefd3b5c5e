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
    let written = String(text.dropFirst(Self.regexMark.count))
    // By itself first: what is wrong with it must not be made good by what is put around it.
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
