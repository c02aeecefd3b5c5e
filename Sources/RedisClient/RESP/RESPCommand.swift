/// A command in the form that Redis receives: an array of strings.
public struct RESPCommand: Sendable, Hashable {
  private var arguments: [RESPArgument]

  public init(_ name: String, _ arguments: RESPArgument...) {
    self.init(name, arguments)
  }

  public init(_ name: String, _ arguments: [RESPArgument]) {
    self.arguments = [RESPArgument(name)] + arguments
  }

  package func append(to bytes: inout [UInt8]) {
    bytes.appendRESP(line: "*\(arguments.count)")
    for argument in arguments { bytes.appendRESP(string: argument.bytes) }
  }
}

public struct RESPArgument: Sendable, Hashable, ExpressibleByStringLiteral {
  let bytes: [UInt8]

  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  public init(_ text: String) {
    bytes = Array(text.utf8)
  }

  public init(_ number: Int) {
    self.init(String(number))
  }

  /// The shortest digits that read as the same number; Redis takes an exponent too.
  public init(_ number: Double) {
    self.init(number.description)
  }

  public init(stringLiteral text: String) {
    self.init(text)
  }
}
