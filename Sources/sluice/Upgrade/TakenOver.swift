import ArgumentParser
import Gateway
import GatewayConfig
import Glibc
import Transport

/// What a process that was executed in the place of another one is given, and gives on.
enum TakenOver {
  private static let variable = Signals.takeOverVariable

  /// Whether there is a process before. To be asked before the record is taken.
  static var isExpected: Bool { Environment.variables[variable] != nil }

  /// The record of the process before; nil for a start. Whatever it says, no later process is told of it.
  static func record() throws -> HandedRecord? {
    guard let text = Environment.variables[variable] else { return nil }
    _ = unsafe unsetenv(variable)
    guard let descriptor = Int32(text), descriptor > STDERR_FILENO else {
      throw CommandFailure("\(variable) names no descriptor: it is set by \"sluice upgrade\" only")
    }
    do {
      return HandedRecord(try GatewayRecord.read(try MemoryFile.take(descriptor)))
    } catch {
      throw CommandFailure("the sessions of the process before cannot be read: \(error)")
    }
  }

  /// What executes a program in the place of this one, with the same words.
  ///
  /// It has the path that this process was started by.
  static func order(_ output: LineWriter, _ signals: ServingSignals) -> UpgradeOrder {
    UpgradeOrder(
      path: ProgramFile.ownPath(among: paths), arguments: ProcessArguments.all,
      environment: Environment.variables.filter { !$0.key.hasPrefix("LISTEN_") }.map {
        "\($0.key)=\($0.value)"
      },
      trial: [TakeOverTrialCommand.name, "--"], variable: variable, version: Sluice.configuration.version
    ) {
      output.flush(within: $0)
    } holdingSignals: {
      signals.holding($0)
    }
  }

  /// Where the program may be that this process was started as.
  private static var paths: [String] {
    guard let name = ProcessArguments.all.first else { return [] }
    guard !name.contains("/") else { return [Disk().absolute(name)] }
    return (Environment.variables["PATH"] ?? "").split(separator: ":").map {
      Disk().absolute("\($0)/\(name)")
    }
  }
}
