"""How long draw.py takes from a stroke to its answer, in the server and in the browser.

    python benchmarks/stroke.py     takes less than two minutes; use an otherwise idle machine

Draws the digits of benchmarks/own_digits.py in ten hands with the mouse of a headless Chromium. It
needs chromedriver and selenium. *By the server* is the time of one request with the finished sheet.
*In the browser* is the time from lifting the pen until the page shows the answer to all strokes,
which may include the rest of an earlier request.
"""

import base64
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from own_digits import write
from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.support.wait import WebDriverWait
from speed import describe_machine

DRAW = Path(__file__).parents[1] / "draw.py"
HANDS = 10
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900")
WATCH = """
    const answer = document.getElementById("answer"), sheet = document.getElementById("sheet");
    window.milliseconds = [];
    let lifted = null;
    sheet.addEventListener("pointerup", () => { lifted = performance.now(); }, true);
    new MutationObserver(() => {
        if (answer.ariaBusy === "true" || lifted === null) return;
        milliseconds.push(performance.now() - lifted);
        lifted = null;
    }).observe(answer, {attributes: true, attributeFilter: ["aria-busy"]});"""


def draw(browser, digit, hand):
    """Draws a digit on the empty sheet and waits for the answer. Returns the sheet as a PNG."""
    sheet = browser.find_element("id", "sheet").rect
    corner, side = np.array([sheet["x"], sheet["y"]]), sheet["width"]
    actions = ActionBuilder(browser, mouse=PointerInput("mouse", "mouse"), duration=0)
    for line in write(digit, hand, np.random.default_rng(hand)):
        points = np.rint(corner + side * (0.5 + 0.6 * line[::4])).astype(int).tolist()
        actions.pointer_action.move_to_location(*points[0]).pointer_down()
        for point in points[1:]:
            actions.pointer_action.move_to_location(*point)
        actions.pointer_action.pointer_up()
    actions.perform()
    wait(browser)
    return base64.b64decode(browser.execute_script("return sheet.toDataURL()").split(",")[1])


def wait(browser):
    answer = browser.find_element("id", "answer")
    WebDriverWait(browser, 30, 0.02).until(lambda _: answer.get_attribute("aria-busy") == "false")


def ask(url, sheet):
    """Sends a sheet to the server. Returns the milliseconds until its answer is read."""
    started = time.perf_counter()
    with urllib.request.urlopen(f"{url}read", sheet) as reply:
        reply.read()
    return 1000 * (time.perf_counter() - started)


def main():
    folder = tempfile.TemporaryDirectory()  # without digits of the user's that the page counts
    server = subprocess.Popen([sys.executable, DRAW, "--port", "0", "--no-browser"],
                              stdout=subprocess.PIPE, text=True, cwd=folder.name)
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    with folder, server, webdriver.Chrome(options, driver) as browser:
        url = re.match(r"http://\S+", server.stdout.readline())[0]
        browser.get(url)
        browser.execute_script(WATCH)
        asked = []
        for hand in range(HANDS):
            for digit in range(10):
                asked.append(ask(url, draw(browser, digit, hand)))
                browser.find_element("id", "clear").click()
                wait(browser)
        shown = browser.execute_script("return milliseconds")
        server.terminate()
    print("| from stroke to answer, milliseconds | median | min to max |\n|---|---:|---:|")
    for name, times in (("by the server", asked), ("in the browser", shown)):
        print(f"| {name} | {statistics.median(times):.0f} | {min(times):.0f} to {max(times):.0f} |")
    print(f"\n{len(shown)} digits. {describe_machine()}.")


if __name__ == "__main__":
    main()
