import ArgumentParser
import GatewayConfig

/// The token of a publish route, in an environment variable.
enum PublishToken {
  static func read(from variable: String) throws -> String {
    guard let token = Environment.variables[variable] else {
      throw ValidationError("The environment variable \(variable) is not set.")
    }
    guard PublishConfiguration.isToken(token) else {
      throw ValidationError("The environment variable \(variable) does not hold a valid token.")
    }
    return token
  }
}
