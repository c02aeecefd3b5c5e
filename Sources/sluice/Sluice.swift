import ArgumentParser
import Glibc

/// The command line. Exit codes: 0 success, 1 findings or failure, 2 wrong usage.
struct Sluice: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice",
    abstract: "A WebSocket gateway that is configured in YAML.",
    discussion: """
      One YAML file declares the routes, groups and channel layers that a Django Channels project would program. FILE is \
      routes.yaml if left out.

      EXAMPLES
        sluice serve                        serve routes.yaml
        sluice validate routes.yaml         report every mistake in it
        sluice plan --against next.yaml     what another file would change
        sluice explain routes.yaml /ws/chat/lobby/
        sluice config -f production.yaml    the configuration as it is in force, and who says what
        sluice keys send_queue              what a key means, and its values
        sluice codes 1013                   what a close code or a status means
        sluice send chat_lobby '"doors open"'   publish through a running gateway
        sluice disconnect --user 5          end the sessions of a user
        sluice token make --user 5          a token for an authenticator of the file
        sluice status                       what a running gateway does
        sluice reload                       have it serve what the file says now
        sluice upgrade                      have it execute a new program, and keep its connections
        sluice drain                        stop it, and wait until its sessions have ended
        sluice bench echo ws://127.0.0.1:8000/ws/echo/
        sluice --generate-completion-script bash
      """,
    version: "0.1.0",
    subcommands: [
      ServeCommand.self, ValidateCommand.self, PlanCommand.self, RoutesCommand.self, ExplainCommand.self,
      ConfigCommand.self,
      KeysCommand.self, CodesCommand.self, SchemaCommand.self, SendCommand.self, DisconnectCommand.self,
      TokenCommand.self, BenchCommand.self, StatusCommand.self, ReloadCommand.self, UpgradeCommand.self,
      DrainCommand.self,
      MatchTableCommand.self, TakeOverTrialCommand.self,
    ])

  /// Without this check, `help` with an unknown command would print the general help and succeed.
  private static func checkHelp(_ arguments: [String]) throws {
    guard arguments.first == "help", let name = arguments.dropFirst().first, !name.hasPrefix("-"),
      name != "help", !configuration.subcommands.contains(where: { $0._commandName == name })
    else { return }
    throw ValidationError("There is no command \"\(name)\".")
  }

  /// The message for wrong usage, with the usage of the command.
  ///
  /// - Parameter command: the one that has found the error while it ran; nil for an error of parsing, which names its command.
  private static func wrongUsage(_ error: any Error, of command: (any ParsableCommand.Type)?) -> String {
    guard let command, command != Self.self, error is ValidationError else { return fullMessage(for: error) }
    return
      "Error: \(message(for: error))\nUsage: \(usageString(for: command))\n  See 'sluice \(path(of: command)) --help' for more information."
  }

  /// The name of a command behind that of the command that it is a part of: `token make`.
  private static func path(of command: any ParsableCommand.Type) -> String {
    let outer = configuration.subcommands.first {
      $0.configuration.subcommands.contains { $0 == command }
    }
    return (outer.map { "\($0._commandName) " } ?? "") + command._commandName
  }

  /// Runs the command of this process's arguments, and returns where it has succeeded.
  static func run() async {
    // A command learns from the failed write that the reader of its output is gone.
    Signals.ignore([SIGPIPE])
    guard let arguments = ProcessArguments.behindName else {
      Output.error("sluice: the system did not pass any arguments to this process")
      Self.exit(withError: ExitCode(1))
    }
    var running: (any ParsableCommand)?
    do {
      try checkHelp(arguments)
      var command = try parseAsRoot(arguments)
      running = command
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let code as ExitCode {
      Self.exit(withError: code)
    } catch let failure as CommandFailure {
      Output.tell(failure, asJSON: (running as? any JSONPrinting)?.printsJSON ?? false)
      Self.exit(withError: ExitCode(1))
    } catch {
      // Help and version end with success. Everything that ArgumentParser refuses is wrong usage.
      guard exitCode(for: error) != .success else { exit(withError: error) }
      Output.error(wrongUsage(error, of: running.map { type(of: $0) }))
      if let hint = UsageHint.hint(
        for: arguments, commands: configuration.subcommands.map { $0._commandName })
      {
        Output.error("Hint: \(hint)")
      }
      Self.exit(withError: ExitCode(2))
    }
  }
}
