import ArgumentParser
import Sessions

struct CodesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codes",
    abstract: "Tell what a status or a close code means.",
    discussion: """
      Without CODE it lists every status that a client is refused with, and every close code, with the text that the client \
      gets, when that happens, whether the client should come again, and the level of the line in the log. Exit code 1: \
      there is no such code.

      EXAMPLES
        sluice codes
        sluice codes 1013
      """)

  @Argument(help: ArgumentHelp("An HTTP status or a close code.", valueName: "code"))
  var code: String?

  @Option(help: "text, or markdown: the tables of the manual.")
  var format = KeysCommand.Format.text

  func validate() throws {
    guard code == nil || format == .text else {
      throw ValidationError("--format markdown is for all codes, not for one.")
    }
  }

  func run() throws {
    guard format == .text else { return Output.print(CodeReference.markdown) }
    guard let text = CodeReference.text(of: code) else {
      throw CommandFailure("Sluice has no code \"\(code ?? "")\"; sluice codes lists all of them")
    }
    Output.print(text)
  }
}
