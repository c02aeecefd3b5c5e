import JSON
import Routing

extension GroupsFromView {
  /// Why the `groups` of an answer cannot be used; nil if they can.
  func fault(in answer: JSON) -> AnswerFault? {
    guard let names = answer.groupNames else {
      return AnswerFault(
        reason: "the groups of the answer are no list of texts and whole numbers",
        hint: "answer \"groups\": [] where there are none, or leave \"groups\" out")
    }
    guard let other = names.first(where: { !admits($0) }) else { return nil }
    return AnswerFault(reason: reason(for: other))
  }

  /// Why a name cannot be used that is not admitted.
  func reason(for name: String) -> String {
    let shown = name.utf8.count > 120 ? String(decoding: name.utf8.prefix(120), as: UTF8.self) + "…" : name
    return
      "the answer of the view names the group \"\(shown)\", which is not among those of \"groups_from_view\": \(text)"
  }
}
