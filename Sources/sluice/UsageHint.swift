import GatewayConfig

/// What to write in place of commands and options of other programs.
enum UsageHint {
  private static let commands = [
    "server": "serve", "run": "serve", "start": "serve", "up": "serve", "runserver": "serve",
    "check": "validate", "lint": "validate", "test": "validate", "verify": "validate", "show": "routes",
    "list": "routes", "publish": "send", "kick": "disconnect", "ban": "disconnect", "match": "explain",
    "benchmark": "bench",
  ]
  private static let addressOptions = [
    "--port", "-p", "--host", "--listen", "--address", "--addr", "-b", "-l", "-H", "--unix-socket",
  ]

  /// Nil if nothing is known about the arguments.
  static func hint(for arguments: [String], commands known: [String]) -> String? {
    guard let first = arguments.first else { return nil }
    guard known.contains(first) else {
      let meant = commands[first] ?? NearestName.of(first, in: known)
      return first.hasPrefix("-") ? nil : meant.map { "did you mean \"sluice \($0)\"?" }
    }
    if ["status", "reload", "upgrade", "drain"].contains(first),
      arguments.contains(where: { $0 == "-f" || $0.hasPrefix("--overlay") })
    {
      return "a gateway keeps the files that it was started with: name only the first one, without -f"
    }
    guard first == "serve",
      let place = arguments.firstIndex(where: { argument in
        addressOptions.contains { argument == $0 || argument.hasPrefix($0 + "=") }
      })
    else { return nil }
    let parts = arguments[place].split(separator: "=", maxSplits: 1)
    let value = parts.count == 2 ? String(parts[1]) : arguments.dropFirst(place + 1).first
    guard let value, UInt16(value) != nil else {
      return "the address to listen on is written --bind HOST:PORT, or --bind unix:PATH"
    }
    return "write --bind 127.0.0.1:\(value) for this machine only, or --bind 0.0.0.0:\(value) for all"
  }
}
