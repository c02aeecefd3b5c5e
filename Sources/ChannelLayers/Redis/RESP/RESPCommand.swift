/// A command in the form that Redis receives: an array of strings.
package struct RESPCommand: Sendable, Hashable {
  private var arguments: [RESPArgument]

  package init(_ name: String, _ arguments: RESPArgument...) {
    self.init(name, arguments)
  }

  package init(_ name: String, _ arguments: [RESPArgument]) {
    self.arguments = [RESPArgument(name)] + arguments
  }

  package func append(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: "*\(arguments.count)\r\n".utf8)
    for argument in arguments {
      bytes.append(contentsOf: "$\(argument.bytes.count)\r\n".utf8)
      bytes.append(contentsOf: argument.bytes)
      bytes.append(contentsOf: "\r\n".utf8)
    }
  }
}

package struct RESPArgument: Sendable, Hashable, ExpressibleByStringLiteral {
  let bytes: [UInt8]

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  package init(_ text: String) {
    bytes = Array(text.utf8)
  }

  package init(_ number: Int) {
    self.init(String(number))
  }

  /// The shortest digits that read as the same number; Redis takes an exponent too.
  package init(_ number: Double) {
    self.init(number.description)
  }

  package init(stringLiteral text: String) {
    self.init(text)
  }
}
