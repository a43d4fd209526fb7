"""Pictures and Mermaid text of definitions, and of the path of an instance."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from nexus.authoring import png
from nexus.authoring.layout import MOST_WAYPOINTS
from nexus.authoring.lettering import width_of
from nexus.authoring.mermaid import mermaid
from nexus.authoring.picture import CannotDraw, draw
from nexus.authoring.png import NoPng, png_of
from nexus.authoring.walk import Walk, walk_of
from tests.authoring.walking import ODD, SHIPPED, SUE, loaded, shipped, walk
from tests.core.playing import Document, Play, lead

SVG = "{http://www.w3.org/2000/svg}"


def drawn(document: Document, path: Walk | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(draw(loaded(document).program, path))


def texts(picture: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def tooltips(picture: ElementTree.Element) -> dict[str, str]:
    """The tooltips of stages and transitions, and the lines that stand in each."""
    found = {}
    for group in picture.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        assert title is not None
        assert title.text
        found[title.text] = "|".join(texts(group))
    return found


def walked() -> Play:
    """A lead that was late, went to nurturing and back, and became an opportunity."""
    play = Play(shipped("inbound-lead").program)
    play.start({"name": "Jo", "email": "jo@example.com", "budget": 5_000, "need": "all"})
    play.wait(2)
    play.act("contact", actor=SUE, data={"channel": "phone"})
    play.event("email.replied")
    play.act("park", actor=SUE)
    play.event("email.clicked")
    play.act("park", actor=SUE)
    play.event("email.clicked")
    play.act("book", actor=SUE, data={"at": "2026-12-01T10:00:00Z"})
    play.act("qualify", actor=SUE)
    return play


def test_a_picture_shows_stages_people_conditions_triggers_and_what_is_created() -> None:
    picture = ElementTree.fromstring(draw(shipped("opportunity").program))
    shown = tooltips(picture)
    assert shown["stalled"] == "Stalled|assigned to sales, manager"
    condition = "data.discount <= 40"
    assert shown[f"approve: {condition}"] == (
        f"Approve the discount|action approve|if {condition}|by manager"
    )
    assert shown["stall"] == "Silence|after 14 days"
    assert shown["view"] == "They opened it|on proposal.viewed"
    assert "automatically" in shown["send: data.discount <= 15"]
    assert shown["sign"].endswith("creates Customer")
    assert shown["lose"].endswith("from every stage before the end")
    assert {"an event", "a clock", "automatic", "a final stage", "creates a record"} <= set(
        texts(picture)
    )


def test_text_that_means_something_in_xml_is_only_text() -> None:
    picture = drawn(ODD)
    shown = texts(picture)
    assert ODD["label"] in shown
    assert "Öffnen & 会議 <x>" in shown
    assert "and 2 more" in shown, "twelve fields of plain data are enough"
    assert "plain data" in shown
    assert "5 stages: a, b, c, d, e" in next(text for text in shown if "5 stages" in text)


def test_nothing_lies_outside_of_the_picture() -> None:
    for definition in (*(shipped(name) for name in SHIPPED), loaded(ODD)):
        picture = ElementTree.fromstring(draw(definition.program))
        width, height = (float(side) for side in picture.attrib["viewBox"].split()[2:])
        for box in picture.iter(f"{SVG}rect"):
            x, y = float(box.get("x", "0")), float(box.get("y", "0"))
            assert 0 <= x <= x + float(box.attrib["width"]) <= width
            assert 0 <= y <= y + float(box.attrib["height"]) <= height
        for path in picture.iter(f"{SVG}path"):
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.attrib["d"])]
            assert all(0 <= x <= width for x in numbers[::2])
            assert all(0 <= y <= height for y in numbers[1::2])


def test_no_two_boxes_lie_upon_each_other() -> None:
    for definition in (*(shipped(name) for name in SHIPPED), loaded(ODD)):
        picture = ElementTree.fromstring(draw(definition.program))
        boxes = []
        for group in picture.iter(f"{SVG}g"):
            box = group.find(f"{SVG}rect")
            assert box is not None
            boxes.append([float(box.attrib[key]) for key in ("x", "y", "width", "height")])
        for at, (x, y, width, height) in enumerate(boxes):
            for x2, y2, width2, height2 in boxes[at + 1 :]:
                beside = x + width <= x2 or x2 + width2 <= x
                assert beside or y + height <= y2 or y2 + height2 <= y


def test_letters_stay_in_their_boxes() -> None:
    picture = ElementTree.fromstring(draw(shipped("inbound-lead").program))
    for group in picture.iter(f"{SVG}g"):
        box = group.find(f"{SVG}rect")
        assert box is not None
        for text in group.iter(f"{SVG}text"):
            bold = text.get("font-weight") == "bold"
            width = width_of(text.text or "", float(text.attrib["font-size"]), bold=bold)
            assert width <= float(box.attrib["width"])


def test_wide_letters_take_more_room_and_accents_none() -> None:
    assert width_of("会議", 10) > width_of("ab", 10)
    assert width_of("e\u0301", 10) == width_of("e", 10)
    assert width_of("ab", 10, bold=True) > width_of("ab", 10)


def test_convert_is_drawn_where_no_transition_leads_on() -> None:
    picture = drawn(lead({"qualify": {"from": "new", "to": "qualified"}}))
    assert list(tooltips(picture)) == ["qualify", "convert", "new", "qualified", "won"]
    assert "convert, no transition declared" in texts(picture)


def test_an_instances_picture_shows_its_path_and_where_it_stands() -> None:
    play = walked()
    picture = ElementTree.fromstring(draw(play.program, walk(play)))
    shown = tooltips(picture)
    assert shown["open"].endswith("here: opportunity-1")
    assert shown["qualified"].endswith("ended: lead-1")
    assert "entered 3 times" in shown["engaged"]
    assert "Not now (2 times)" in shown["park"]
    assert "where it stands" in texts(picture)


def test_only_the_lines_that_were_taken_are_strong() -> None:
    play = Play(lead({"go": {"from": ["new", "qualified"], "to": "won"}}))
    play.start()
    play.act("go")
    picture = ElementTree.fromstring(draw(play.program, walk(play)))
    thick = [path for path in picture.iter(f"{SVG}path") if path.get("stroke-width") == "2.4"]
    assert len(thick) == 2, "from new to `go`, from `go` to won, and none from qualified"


def test_a_walk_tells_converts_closed_records_and_what_ended_with_the_instance() -> None:
    play = Play(lead())
    play.start()
    play.act("convert")
    path = walk(play)
    assert path.converted == {("lead", "new", "qualified")}
    assert path.standing == {("lead", "qualified"): ("lead-1",)}
    assert "convert" in tooltips(ElementTree.fromstring(draw(play.program, path)))
    play.add("lead")
    play.act("close", record="lead-1")
    path = walk(play)
    assert path.ended == {("lead", "qualified"): ("lead-1",)}
    assert path.standing == {("lead", "new"): ("lead-2",)}
    play.act("cancel")
    path = walk(play)
    assert path.standing == {}
    assert path.ended[("lead", "new")] == ("lead-2",)
    assert walk_of([]) == Walk()


def test_a_walk_through_an_older_version_is_drawn_as_far_as_it_fits() -> None:
    play = walked()
    other = loaded(lead({"park": {"from": "new", "to": "won"}})).program
    assert "taken" not in draw(other, walk(play))


def test_what_nobody_could_read_is_refused_and_not_drawn() -> None:
    stages = [f"s{n}" for n in range(400)]
    transitions = {f"t{n}": {"from": f"s{n}", "to": f"s{n + 1}"} for n in range(399)}
    program = loaded(lead(transitions, stages)).program
    assert "s399" in draw(program)
    leaps = MOST_WAYPOINTS // 700 + 1
    transitions |= {f"leap{n}": {"from": f"s{n}", "to": "s399"} for n in range(leaps)}
    program = loaded(lead(transitions, stages)).program
    with pytest.raises(CannotDraw, match="too large for a picture"):
        draw(program)
    assert "leap1" in mermaid(program)


# --- Mermaid -----------------------------------------------------------------------------------


def test_mermaid_tells_the_same_as_the_picture() -> None:
    program = shipped("inbound-lead").program
    text = mermaid(program)
    assert text.startswith(
        '---\ntitle: "Inbound lead (inbound-lead 1.0.0)"\n---\nstateDiagram-v2\n'
    )
    assert 'state "Overdue<br/>assigned to sales, manager" as e0s1' in text
    assert "e0s0 --> e0s1 : Nobody answered<br/>after 1 day" in text
    assert "e0 --> e1 : Qualify creates" in text
    assert "class e0s6 final" in text
    assert "e0s7 --> [*]" in text


def test_mermaid_escapes_what_would_end_a_label() -> None:
    text = mermaid(loaded(ODD).program)
    body = text.split("---\n", 2)[2]
    for line in body.splitlines():
        label = line.partition(" : ")[2] or (re.findall('"(.*)"', line) or [""])[0]
        for char in '":;[]{}%`\\':
            assert char not in label.replace("<br/>", "").replace(";", ""), line
    assert "x#58;y" in body
    assert "#lt;x#gt;" in body
    assert '"Odd: \\"quoted\\" [x]; <b> #1 {y} % `z` \\\\ & more (odd 0.0.0)"' in text


def test_mermaid_marks_the_path_of_an_instance() -> None:
    play = walked()
    text = mermaid(play.program, walk(play))
    assert "Qualified<br/>ended#58; lead-1" in text
    assert "Open<br/>assigned to sales<br/>here#58; opportunity-1" in text
    assert "Not now (2 times)" in text
    assert "class e1s0 current" in text
    assert "class e0s1 visited" in text


# --- PNG ---------------------------------------------------------------------------------------


def test_a_png_is_twice_as_large_as_its_svg() -> None:
    svg = draw(shipped("opportunity").program)
    image = png_of(svg)
    assert image.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", image[16:24])
    side = [float(s) for s in ElementTree.fromstring(svg).attrib["viewBox"].split()[2:]]
    assert (width, height) == pytest.approx((side[0] * 2, side[1] * 2), abs=2)


def test_a_huge_picture_becomes_a_png_that_fits_into_memory() -> None:
    size = 'width="9000" height="9000" viewBox="0 0 9000 9000"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}/>'
    width, height = struct.unpack(">II", png_of(svg)[16:24])
    assert width * height <= png.MOST_PIXELS * 1.01


def test_without_the_extra_png_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['resvg_py'] = None\n"
        "from nexus.authoring.png import NoPng, png_of\n"
        "try: png_of('<svg viewBox=\"0 0 1 1\"/>')\n"
        "except NoPng as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'nexus[authoring]'" in done.stdout


def test_without_a_font_png_says_so_instead_of_leaving_letters_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fontless:
        """A renderer on a machine without fonts: letters make no difference."""

        def svg_to_bytes(self, *, svg_string: str, zoom: float) -> bytes:
            return b"blank"

    monkeypatch.setitem(sys.modules, "resvg_py", Fontless())
    png._has_font.cache_clear()
    with pytest.raises(NoPng, match="no font on this machine"):
        png_of('<svg viewBox="0 0 1 1"/>')
    png._has_font.cache_clear()
