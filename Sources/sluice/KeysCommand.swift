import ArgumentParser
import GatewayConfig

struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "Tell what can be written into the configuration.",
    discussion: """
      Without KEY it lists every key with one sentence. With KEY, a name or a path, it prints everything about it: its \
      meaning, its values, its default, and where it may stand. Exit code 1: there is no such key.

      EXAMPLES
        sluice keys
        sluice keys send_queue
        sluice keys limits.ping
      """)

  @Argument(help: ArgumentHelp("A key, or its path.", valueName: "key"))
  var key: String?

  @Option(help: "text, or markdown: the tables of the manual.")
  var format = Format.text

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, markdown
  }

  func validate() throws {
    guard key == nil || format == .text else {
      throw ValidationError("--format markdown is for all keys, not for one.")
    }
  }

  func run() throws {
    guard let key else {
      return Output.print(format == .text ? KeyReference.text : KeyReference.markdown)
    }
    guard let text = KeyReference.text(of: key) else {
      let hint = KeyReference.hint(for: key).map { "; \($0)" } ?? ""
      throw CommandFailure("there is no key \"\(key)\"\(hint)")
    }
    Output.print(text)
  }
}
