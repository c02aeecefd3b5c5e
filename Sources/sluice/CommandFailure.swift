import Gateway
import GatewayConfig
import JSON

/// Why a command has failed, which ends it with exit code 1.
///
/// It is a text on standard error or, for a command that prints JSON, an object on standard output of the form in which a gateway refuses:
/// `{"error": "a sentence", "code": "a-word"}`, and more.
struct CommandFailure: Error {
  /// For people: lines.
  var text: String
  var json: JSON

  /// - Parameter code: for programs.
  init(_ sentence: String, code: String = "failed") {
    text = "sluice: \(sentence)"
    json = ["error": .string(sentence), "code": .string(code)]
  }

  /// A file with errors: the text is what `validate` prints.
  init(_ report: FindingReport) {
    text = report.rendered(.text)
    json = ["error": "the file has errors", "code": "findings"]
    json = json.with(report.asAnswer)
  }

  /// What a gateway refuses.
  init(_ answer: AdminClient.Answer) {
    self.init(answer.error, code: answer.json["code"]?.string ?? "failed")
    if answer.json["error"]?.string != nil { json = answer.json }
  }
}

/// A command that can print JSON.
protocol JSONPrinting {
  /// Whether it was asked to.
  var printsJSON: Bool { get }
}

extension StatusCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension ReloadCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension UpgradeCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension DrainCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension PlanCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension ConfigCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension ValidateCommand: JSONPrinting { var printsJSON: Bool { format == .json } }
extension BenchWorkload { var printsJSON: Bool { common.format == .json } }
