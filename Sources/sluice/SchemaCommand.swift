import ArgumentParser
import GatewayConfig

struct SchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema",
    abstract: "Print the JSON Schema of a file, for editors.",
    discussion: """
      With a schema an editor completes keys and shows what they mean. Write it into a file, and name that file in the \
      first line of the configuration: # yaml-language-server: $schema=sluice.schema.json
      A schema finds fewer mistakes than sluice validate.

      EXAMPLES
        sluice schema > sluice.schema.json
        sluice schema include > include.schema.json
        sluice schema app > app.schema.json
        sluice schema part > part.schema.json
      """)

  @Argument(
    help: ArgumentHelp(
      "routes for the configuration, include for a file with routes that it includes, app for an app.yaml, part for a file for -f or one that is included at the top level.",
      valueName: "kind"))
  var kind = KeySchema.routes

  func run() { Output.print(kind.text) }
}

extension KeySchema: ExpressibleByArgument {}
