import Bytes
import JSON
import Routing
import Testing

@testable import Sessions

struct ViewGroupsTests {
  private func fault(_ groups: String) throws -> String? {
    let admitted = GroupsFromView([try GroupPattern.parse(fromView: "room_<int:id>").get()])
    let answer = try JSON.parse(Array(#"{"user": 5\#(groups)}"#.utf8).rawBytes)
    return admitted.fault(in: answer)?.reason
  }

  @Test func `groups that can be used`() throws {
    for groups in ["", #", "groups": []"#, #", "groups": ["room_1", "room_2"]"#] {
      #expect(try fault(groups) == nil, "\(groups)")
    }
  }

  @Test func `groups that are malformed are no empty list`() throws {
    for groups in ["null", #""room_1""#, "1", "{}", "[1.5]", "[null]", #"["room_1", {}]"#] {
      #expect(
        try fault(#", "groups": \#(groups)"#)
          == "the groups of the answer are no list of texts and whole numbers", "\(groups)")
    }
  }

  @Test func `a group that the route does not admit is named`() throws {
    #expect(
      try fault(#", "groups": ["room_1", "room_x"]"#)
        == #"the answer of the view names the group "room_x", which is not among those of "groups_from_view": room_<int:id>"#
    )
  }
}
