"""Seeded bugs: plant a defect in a copy of the source, and see whether a test that should find it does.

``python tests/mutants.py [-k WORDS]`` prints a table and "caught M/N"; the exit code is 0 if at least 95 % are caught.

Theory of operation. ``src`` and ``tests`` are copied to a temporary folder. First every test that is named below must
pass there, else a failure would prove nothing. Then each defect is planted alone: its old text, which must occur
exactly once, gives way to the new one, the named tests run, and the file is mended again. A defect is caught if a
test fails or hangs; it survives if all of them pass. A text that is not found is an error that names it: mend the list.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT = Path(__file__).parents[1]
GOAL = 0.95
HANG = 300
"""Seconds after which a test run counts as hanging."""

POWER = "faults/test_c_store_power.py"
DAMAGE = "faults/test_c_store_damage.py"
SHARING = "faults/test_e_sharing.py"
SEARCH = "faults/test_c_store_search.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A defect.

    Attributes
    ----------
    what : str
        In words.
    file : str
        Below ``src/swath``.
    old, new : str
        The text that gives way, and what takes its place.
    tests : str
        Arguments for pytest, below ``tests``, separated by blanks.
    """

    what: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    # The store.
    Mutant(
        "a file is acknowledged before its fsync",
        "store/disk.py",
        "            if sync:\n                os.fsync(handle)",
        "            pass",
        "faults/test_c_disk.py",
    ),
    Mutant(
        "the folder is not synced after a rename",
        "store/disk.py",
        "    if sync:\n        disk.sync_folder(path.parent)",
        "    pass",
        f"{POWER}::test_C05_power_cuts_lose_no_row_that_was_reported_saved",
    ),
    Mutant(
        "a file gets its name without being synced",
        "store/disk.py",
        "disk.write_file(beside, pieces, sync=sync)",
        "disk.write_file(beside, pieces, sync=False)",
        f"{POWER}::test_C05_power_cuts_lose_no_row_that_was_reported_saved",
    ),
    Mutant(
        "rows are called durable before their commit",
        "store/__init__.py",
        "            for part in taken.parts:\n                self._done.update(part.done)\n",
        "            session.durable(tuple(part.batch_id for part in taken.parts))\n"
        "            for part in taken.parts:\n                self._done.update(part.done)\n",
        f"{POWER}::test_C05_power_cuts_lose_no_row_that_was_reported_saved",
    ),
    Mutant(
        "the checksum of a segment is not looked at",
        "store/files.py",
        "    if checksum([raw]) != entry.crc:",
        "    if False:",
        DAMAGE,
    ),
    Mutant(
        "the checksum of the manifest is not looked at",
        "store/sealing.py",
        "    if claimed != _checksum(found):",
        "    if False:",
        f"{DAMAGE} test_store.py",
    ),
    Mutant(
        "the manifest before is not read when the newest is spoilt",
        "store/manifest.py",
        "    except DamageError as error:\n        return _read_before(disk, folder, str(error))",
        "    except ZeroDivisionError as error:\n        return _read_before(disk, folder, str(error))",
        "test_store.py",
    ),
    Mutant(
        "merging lists both forms",
        "store/writer.py",
        "now = [entry for entry in now if entry not in sources]",
        "now = [*now]",
        f"{POWER}::test_C22_merging_killed_at_each_step_keeps_every_row_once test_store.py",
    ),
    Mutant(
        "a first attempt beats a later one",
        "store/winners.py",
        "np.lexsort((-attempts.astype(np.int32), points))",
        "np.lexsort((attempts.astype(np.int32), points))",
        "test_store.py::test_a_retried_point_has_the_row_of_its_last_attempt",
    ),
    Mutant(
        "rows of other batches are accepted",
        "store/segments.py",
        "    if low < write.batch.start or high >= write.batch.stop:",
        "    if False:",
        "test_store.py::test_a_reply_that_is_none_never_reaches_the_disk",
    ),
    Mutant(
        "an export is written over the file that is there",
        "store/__init__.py",
        "publish(self._disk, self.folder / PARQUET, parquet(self._archive()))",
        "self._disk.write_file(self.folder / PARQUET, parquet(self._archive()))",
        f"{SHARING}::test_E08_an_export_replaces_what_was_there_whole_or_not_at_all",
    ),
    Mutant(
        "the lock of a run is not taken",
        "store/lock.py",
        "            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)\n            if _leads_to",
        "            if _leads_to",
        "test_store.py::test_a_second_store_is_refused_and_told_by_whom",
    ),
    Mutant(
        "something is written after an error of the disk",
        "store/__init__.py",
        "        self._failed = True\n",
        "",
        f"test_store.py {POWER}::test_C07_C08_an_error_of_the_disk_at_any_step_stops_and_the_same_command_goes_on",
    ),
    Mutant(
        "a part of a write is taken for the whole",
        "store/disk.py",
        "        rest = rest[os.write(handle, rest) :]",
        "        rest = rest[len(rest) :] if os.write(handle, rest) else rest",
        "faults/test_c_store_places.py",
    ),
    Mutant(
        "a reader does not look again when a file was merged away",
        "store/history.py",
        "            if newer == manifest:",
        "            if newer:",
        f"{SHARING}::test_E04_a_reader_at_any_instant_sees_a_prefix",
    ),
    Mutant(
        "a writer that was overtaken goes on",
        "store/writer.py",
        "        if self._mark is None:",
        "        if self._mark or True:",
        f"{SHARING}::test_E02_where_locks_do_nothing_the_writer_that_is_overtaken_notices",
    ),
    Mutant(
        "links in a run folder are followed",
        "store/disk.py",
        "os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags",
        "os.O_RDONLY | os.O_CLOEXEC | flags",
        "faults/test_f_folders.py::test_F02_links_and_pipes_are_not_followed",
    ),
    Mutant(
        "what another writer published is overwritten",
        "store/writer.py",
        "        self._check_manifest()\n        manifest = replace(",
        "        manifest = replace(",
        f"{SHARING}::test_E02_where_locks_do_nothing_the_writer_that_is_overtaken_notices",
    ),
    Mutant(
        "a removed segment is not noticed",
        "store/writer.py",
        "            if entry.file not in there:",
        "            if False:",
        "faults/test_c_store_places.py::test_C11_a_removed_segment_is_noticed_at_the_next_commit",
    ),
    Mutant(
        "a newer format counts as damage",
        "store/manifest.py",
        "    except NewerFormatError as error:",
        "    except ZeroDivisionError as error:",
        f"{DAMAGE}::test_C13_a_newer_format_is_refused_even_if_the_manifest_before_can_be_read",
    ),
    Mutant(
        "a want of open files counts as damage",
        "store/writer.py",
        "            if error.errno in PASSING:",
        "            if False:",
        f"{DAMAGE}::test_C12_an_error_of_reading_that_is_none_of_the_file_sets_nothing_aside",
    ),
    Mutant(
        "a step that comes again stands beside what it takes back",
        "store/curves.py",
        "lifted[:-1] < least[1:]",
        "lifted[:-1] <= least[1:]",
        "test_curves.py::test_a_step_counts_unless_it_was_taken_back",
    ),
    Mutant(
        "steps of one point take back those of others",
        "store/curves.py",
        "lifted = steps + (np.cumsum(first) - 1) * span",
        "lifted = steps",
        "test_curves.py::test_a_step_counts_unless_it_was_taken_back",
    ),
    Mutant(
        "files of steps are merged out of order",
        "store/writer.py",
        "steps.join(tables)",
        "steps.join(tables[::-1])",
        "test_curves.py",
    ),
    Mutant(
        "rows are there before their proposals",
        "store/writer.py",
        "            proposals=(*now.proposals, *proposed),\n",
        "            proposals=now.proposals,\n",
        f"{SEARCH}::test_C05_power_cuts_neither_lose_nor_double_a_step_and_leave_no_row_without_its_proposal",
    ),
    Mutant(
        "rows of damaged proposals are kept for those that come in their places",
        "store/recovery.py",
        "    if not lost:",
        "    if True:",
        f"{SEARCH}::test_C12_damage_of_rows_steps_or_proposals_is_named_and_never_returned",
    ),
    Mutant(
        "proposals that follow damaged ones are put in their places",
        "store/recovery.py",
        "        proposals=tuple(e for e in proposals if e.first + e.rows <= known.get(e.definition, 0)),",
        "        proposals=tuple(proposals),",
        f"{SEARCH}::test_C12_damage_of_rows_steps_or_proposals_is_named_and_never_returned",
    ),
    Mutant(
        "steps that cannot be kept cost the rows beside them",
        "store/steps.py",
        "                if reason := self._wrong(record.batch, step):",
        "                if (reason := self._wrong(record.batch, step)) and step.metrics[reason]:",
        "test_curves.py::test_steps_that_are_none_are_dropped_and_noted_once_and_harm_no_row",
    ),
    Mutant(
        "compressed columns are unpacked",
        "store/ipc.py",
        '    if message.type == "record batch" and _field(raw, header, COMPRESSION):',
        "    if False:",
        "faults/test_f_folders.py::test_F02_a_compressed_segment_is_not_unpacked",
    ),
    Mutant(
        "offers are made while the disk is behind",
        "driver/__init__.py",
        "        if self._crowded:\n            return",
        "        if False:\n            return",
        "faults/test_c_store_pressure.py::test_C14_while_the_disk_is_behind_nothing_is_offered_and_all_else_goes_on",
    ),
    # The driver.
    Mutant(
        "done before durable",
        "driver/places.py",
        "        if written is not None:\n            self.done.update(written.positions)",
        "        pass",
        "test_driver.py",
    ),
    Mutant(
        "positions outside the flight are accepted",
        "driver/__init__.py",
        "(start, min(stop, flight.stop)) for start, stop in reply.done if start < min(stop, flight.stop)",
        "(start, stop) for start, stop in reply.done",
        "test_driver.py",
    ),
    Mutant(
        "a late duplicate is written again",
        "driver/__init__.py",
        "            self.duplicates += reply.rows\n            return []",
        "            self.duplicates += reply.rows\n"
        "            batch = Batch(batch_id, 'w', 0, self.total, 1, 1.0)\n"
        "            return [Write(batch, reply, RangeSet(reply.done), True)]",
        "test_driver.py",
    ),
    Mutant(
        "the untouched rest of a batch is forgotten",
        "driver/__init__.py",
        "        self.places.wait(batch.attempt, untouched)\n",
        "",
        "test_driver.py",
    ),
    Mutant(
        "a retry does not count",
        "driver/__init__.py",
        "self.places.wait(batch.attempt + 1, again)",
        "self.places.wait(batch.attempt, again)",
        "test_driver.py",
    ),
    Mutant(
        "what a worker that left had is lost",
        "driver/__init__.py",
        "            self._take_back(flight.batch.id)\n        self.crew.leave(event.worker)",
        "            self._land(flight.batch.id)\n        self.crew.leave(event.worker)",
        "test_driver.py",
    ),
    Mutant(
        "whatever a worker replies is believed",
        "driver/__init__.py",
        "if wrong := fault(flight.batch, reply):",
        "if wrong := '':",
        "faults/test_d_replies.py",
    ),
    Mutant(
        "a worker is never left out",
        "driver/quarantine.py",
        "        return now < self.until(worker)",
        "        return False",
        "test_driver.py",
    ),
    Mutant(
        "time that nobody saw is patience",
        "driver/crew.py",
        "self.alone += min(seconds, STRIDE)",
        "self.alone += seconds",
        "test_driver.py",
    ),
    Mutant(
        "points that all fail alike stop nothing",
        "driver/stop.py",
        "        if alike and self._places.unfinished:",
        "        if False:",
        "test_driver.py",
    ),
    Mutant(
        "a grace never ends",
        "driver/stop.py",
        "return self._grace_ends is not None and now >= self._grace_ends",
        "return False",
        "test_driver.py",
    ),
    Mutant(
        "a refused reply leaves its failures in the count",
        "driver/__init__.py",
        "        self.failures -= refused.failures\n",
        "",
        "test_driver.py",
    ),
    Mutant(
        "a mistake in counting ends the sweep",
        "run/handle.py",
        '                self._journal.trouble("progress", error)',
        "                raise",
        "faults/test_c_driver.py",
    ),
    Mutant(
        "Dask goes by the wall clock",
        "cluster/clock.py",
        "    batched.time = steady\n    loop.time = steady",
        "    batched.steady = loop.steady = steady",
        "faults/test_c_time.py",
    ),
    Mutant(
        "a slot that was suspended blames its point",
        "slot/watch.py",
        "self._since += now - self._looked - self.interval",
        "pass",
        "test_slot.py::test_time_in_which_the_slot_s_own_process_was_stopped_does_not_count",
    ),
    # Slots and what is inside.
    Mutant(
        "the neighbour is blamed",
        "slot/__init__.py",
        "        suspect = death.position\n",
        "        suspect = max(0, death.position - 1)\n",
        "test_slot.py::test_a_crash_is_a_row_and_the_neighbours_are_kept",
    ),
    Mutant(
        "a death is a verdict at once",
        "slot/__init__.py",
        "        if not death.plain:",
        "        if False:",
        "test_slot.py::test_an_innocent_victim_is_evaluated_again",
    ),
    Mutant(
        "a timeout is not enforced",
        "slot/watch.py",
        "if timeout is not None and here >= 0 and now - self._since > timeout:",
        "if False:",
        "test_slot.py::test_a_point_that_hangs_is_ended_in_time[hang]",
    ),
    Mutant(
        "a cap on memory is not enforced",
        "slot/watch.py",
        "(held := self._held(memory)) > memory and here >= 0",
        "(held := self._held(memory)) < 0",
        "test_slot.py::test_memory_is_capped",
    ),
    Mutant(
        "short points count as one long one",
        "slot/watch.py",
        "self._seen, self._since = seen, now",
        "self._seen = seen",
        "test_slot.py::test_many_short_points_are_no_long_one",
    ),
    Mutant(
        "what a child started is left alive",
        "inside/keeper.py",
        "    while reap() and (passed := time.monotonic() - begun) < KILL_TIME:",
        "    while False:",
        "faults/test_b_leftovers.py::test_B13_no_process_outlives_its_point",
    ),
    Mutant(
        "a point that is taken back runs all the same",
        "slot/__init__.py",
        "    return min(now + 1, batch.stop)",
        "    return min(now, batch.stop)",
        "test_slot.py::test_taking_back_what_has_not_begun",
    ),
    Mutant(
        "a batch that has just ended gives points back",
        "slot/__init__.py",
        "    if now < here:",
        "    if False:",
        "test_pool.py::test_whoever_ends_a_batch_meanwhile_gives_nothing_back",
    ),
    Mutant(
        "a recall shortens the batch that follows",
        "slot/pool.py",
        "            return slot.take_back(batch) if slot else batch.stop, batch.stop\n",
        "            pass\n        return slot.take_back(batch) if slot else batch.stop, batch.stop\n",
        "test_pool.py::test_a_recall_does_not_reach_the_batch_that_follows",
    ),
    Mutant(
        "the child after a death begins what was given back",
        "slot/__init__.py",
        "            stop = min(stop, outcome.limit)\n",
        "",
        "test_pool.py::test_what_was_taken_back_from_a_child_that_dies_is_not_begun_by_the_next",
    ),
    Mutant(
        "what a death has decided is given back too",
        "slot/__init__.py",
        "        return batch.stop if self._decided else first",
        "        return first",
        "test_pool.py::test_nothing_is_taken_back_that_a_death_has_decided",
    ),
    Mutant(
        "the next batch waits until the last reply is read",
        "slot/child.py",
        "        self.is_ahead = True\n",
        "        return\n",
        "test_slot.py::test_the_next_batch_begins_before_the_reply_of_the_last_is_read",
    ),
    Mutant(
        "a batch that was begun ahead is begun again",
        "slot/child.py",
        "            if not self.is_ahead:\n",
        "            if True:\n",
        "test_pool.py::test_a_batch_that_was_begun_ahead_is_taken_back",
    ),
    Mutant(
        "nobody knows that a batch was begun ahead",
        "slot/__init__.py",
        "                self._running = later\n",
        "                pass\n",
        "test_pool.py::test_a_batch_that_was_begun_ahead_is_taken_back",
    ),
    Mutant(
        "what is printed goes to the batch that follows",
        "slot/child.py",
        "                    logs = self._output.logs()\n                    self._begin_ahead(following)\n",
        "                    self._begin_ahead(following)\n                    logs = self._output.logs()\n",
        "test_pool.py::test_a_batch_that_was_begun_ahead_is_taken_back",
    ),
    Mutant(
        "a pool without children begins what waits when it is closed",
        "slot/pool.py",
        "        if self._closed:\n",
        "        if False:\n",
        "test_pool.py::test_a_closed_pool_without_children_begins_nothing_more",
    ),
    Mutant(
        "a child that has a batch ahead is replaced when it is worn by that",
        "slot/__init__.py",
        "        if not self._child.is_ahead and (isinstance",
        "        if True and (isinstance",
        "test_pool.py::test_a_worn_child_answers_what_it_has_begun_and_begins_nothing_more",
    ),
    Mutant(
        "a worn child begins another batch ahead",
        "slot/child.py",
        "        if self.is_worn() or (batch",
        "        if (batch",
        "test_pool.py::test_a_worn_child_answers_what_it_has_begun_and_begins_nothing_more",
    ),
    Mutant(
        "what a child said before it ended is not read",
        "slot/child.py",
        "            while not status:\n",
        "            while not status and not self._exited():\n",
        "test_pool.py::test_what_a_child_has_answered_counts_although_it_ended_then",
    ),
    Mutant(
        "a large offer holds up the reply before it",
        "slot/child.py",
        " or len(batch.points) > MOST_AHEAD:",
        ":",
        "test_pool.py::test_a_large_offer_holds_up_no_reply",
    ),
    Mutant(
        "a child that is started while its slot closes lives on",
        "slot/__init__.py",
        "        self._child = self._fresh()\n        self._must_be_open()\n",
        "        self._child = self._fresh()\n",
        "test_pool.py::test_a_child_that_was_being_started_ends_with_its_slot",
    ),
    Mutant(
        "the batch that has waited longest comes last",
        "slot/pool.py",
        "        for door in self._waiting.values():\n",
        "        for door in reversed(list(self._waiting.values())):\n",
        "test_slot.py::test_batches_are_served_in_the_order_in_which_they_came",
    ),
    Mutant(
        "a point that was given back is begun if that came between two points",
        "inside/evaluate.py",
        "            if position >= crumb[LIMIT]:",
        "            if position > crumb[LIMIT]:",
        "test_evaluate.py::test_nothing_is_given_back_and_begun",
    ),
    Mutant(
        "sys.exit in a point ends its child",
        "inside/evaluate.py",
        "            except BaseException as error:  # noqa: BLE001  # one point can fail only itself",
        "            except Exception as error:  # noqa: BLE001  # one point can fail only itself",
        "test_slot.py::test_what_raises_is_an_error_and_costs_no_child",
    ),
    Mutant(
        "what a point changes around it stays",
        "inside/surroundings.py",
        "for put_back in (self._restore_process, self._restore_signals,",
        "for put_back in (self._restore_signals,",
        "faults/test_b_state.py::test_B19_what_a_point_changes_is_put_back_before_the_next_batch",
    ),
    Mutant(
        "points share what they may change",
        "inside/own.py",
        "return copy.deepcopy(value)",
        "return value",
        "test_evaluate.py::test_changing_an_argument_changes_no_other_point",
    ),
    # What ties them together.
    Mutant(
        "versions are not compared",
        "cluster/handshake.py",
        'return "; ".join(wrong)',
        'return ""',
        "faults/test_d_handshake.py::test_D11_other_versions_are_excluded_and_named",
    ),
    Mutant(
        "shipped code may leave its folder",
        "unpacking.py",
        "        if not _NAME.fullmatch(path):",
        "        if not path:",
        "test_objective.py::test_files_outside_the_folder_are_refused",
    ),
    Mutant(
        "wall clock for deadlines",
        "engines/__init__.py",
        "self.now = time.monotonic",
        "self.now = time.time",
        "faults/test_c_time.py::test_C06_only_timestamps_come_from_the_wall_clock",
    ),
    Mutant(
        "a Dask key is used again",
        "cluster/worker.py",
        'return f"swath-{run}-{batch.id}-{batch.attempt}"',
        'return f"swath-{run}-{batch.attempt}"',
        "test_engines.py::test_a_batch_ends_in_finished_with_its_positions",
    ),
    Mutant(
        "Dask's pages listen to the whole network",
        "cluster/embedded.py",
        'dashboard_address=f"{HOST}:0",\n                worker',
        'dashboard_address=":0",\n                worker',
        "test_engines.py::test_everything_that_listens_does_so_on_loopback",
    ),
    Mutant(
        "any page in a browser may open a websocket of swath ui",
        "views/ui/guard.py",
        'return found["host"] == host or (',
        "return True or (",
        "faults/test_f_pages.py::test_F04_a_websocket_of_another_origin_is_refused",
    ),
    Mutant(
        "swath ui answers under every name that points here",
        "views/ui/guard.py",
        'if name is None or not (name["name"] in LOOPBACK or self._is_allowed(host, name["name"])):',
        "if name is None:",
        "faults/test_f_pages.py::test_F05_a_name_that_is_not_ours_is_refused",
    ),
    Mutant(
        "a link of swath ui works again and again",
        "views/ui/guard.py",
        "        self._tokens.remove(spent)\n",
        "",
        "faults/test_f_pages.py::test_F03_a_token_works_once_and_only_as_it_is",
    ),
    Mutant(
        "swath ui asks nobody for the cookie",
        "views/ui/guard.py",
        "if wrong is None and not self.knows(asked.cookie):",
        "if False:",
        "faults/test_f_pages.py::test_F03_without_the_token_every_address_is_refused",
    ),
    Mutant(
        "a text in CSV begins like a formula",
        "views/export.py",
        "if shown.lstrip().startswith(FORMULA) or item.startswith(CHEATS) else shown",
        "if item.startswith(CHEATS) else shown",
        "faults/test_f_showing.py::test_F08_no_cell_of_csv_begins_like_a_formula",
    ),
    Mutant(
        "characters that show as nothing are shown as they are",
        "views/text.py",
        'return "".join(char if char.isprintable() and not _UNSEEN.match(char) else _spelt(char) for char in text)',
        'return "".join(char if char.isprintable() else _spelt(char) for char in text)',
        "faults/test_f_showing.py::test_F08_whatever_does_not_print_is_spelt_out",
    ),
    Mutant(
        "what another process has left in a run folder is taken for its progress",
        "bulletin.py",
        'if (found["pid"], found["host"]) != (writer.pid, writer.host):',
        "if False:",
        "test_bulletin.py::test_what_another_process_has_left_is_not_believed",
    ),
    Mutant(
        "a block that shrinks leaves its end on the screen",
        "views/terminal.py",
        'self._outlet.send(f"{self._up(columns)}{frame}\\x1b[J")',
        'self._outlet.send(f"{self._up(columns)}{frame}")',
        "test_terminal.py::test_a_block_that_shrinks_leaves_nothing_of_itself",
    ),
    Mutant(
        "errors are HTML on the live page",
        "views/figures/failures.py",
        """<td class="text">{escape(text)}</td>""",
        """<td class="text">{text}</td>""",
        "test_pages_live.py::test_hostile_names_values_and_errors_are_text[embedded]",
    ),
    Mutant(
        "the tab of a sweep that has ended stays",
        "views/live/stage.py",
        "            pages.remove(self._tab)",
        "            pass",
        "test_pages_live.py::test_under_a_prefix_it_moves_and_says_how_it_ended_and_is_gone",
    ),
    Mutant(
        "marks are spread over to the next value",
        "views/figures/study.py",
        "width = min(SPREAD, 0.3 * float(np.diff(axis.unit(np.array(every, dtype=float))).min()))",
        "width = SPREAD",
        "test_figures.py::test_marks_are_spread_but_stay_nearest_to_their_value",
    ),
    Mutant(
        "byte code that may be of another text is believed",
        "unpacking.py",
        '                found["size"] = -1',
        "                pass",
        "test_objective.py::test_a_text_of_the_same_length_and_second_is_not_taken_for_the_one_before",
    ),
    Mutant(
        "words that nobody reads any more change the exit code",
        "cli/__init__.py",
        "        _let_go()\n        gc",
        "        gc",
        "test_cli.py::test_a_reader_of_progress_that_goes_away_disturbs_nothing",
    ),
    Mutant(
        "rows of changed code are mixed with the old ones",
        "run/beginning.py",
        "    if (previous.objective, previous.fingerprint) == (definition.objective, code.fingerprint):",
        "    if True:",
        "test_run.py::test_an_edited_line_stops_with_both_ways_out",
    ),
    Mutant(
        "a step is recorded as often as it is heard",
        "driver/courses.py",
        "if start <= step.position < stop and step.step > flight.recorded.get(step.position, -1):",
        "if start <= step.position < stop:",
        "test_courses.py::test_steps_are_recorded_once_and_the_reply_brings_only_the_rest",
    ),
    Mutant(
        "a point that was ended early counts as failed",
        "driver/__init__.py",
        "failed += len(positions) if status != PRUNED else 0",
        "failed += len(positions)",
        "test_courses.py::test_a_point_is_asked_once_to_end_early_and_is_no_failure",
    ),
    Mutant(
        "a search ends although more is to be opened",
        "driver/places.py",
        "return self.final and not self.waiting_count",
        "return not self.waiting_count",
        "test_courses.py::test_only_open_positions_are_offered_and_the_last_opening_ends_it",
    ),
    Mutant(
        "asha lets one more go on",
        "stopping/asha.py",
        "return max(1, len(self.ranks) // eta)",
        "return 1 + len(self.ranks) // eta",
        "test_stopping.py",
    ),
    Mutant(
        "asha takes NaN for the best",
        "stopping/asha.py",
        "inf if isnan(value) else",
        "-inf if isnan(value) else",
        "test_stopping.py",
    ),
    Mutant(
        "asha promotes who kept no checkpoint",
        "stopping/asha.py",
        'if status == "pruned" and resumable and rung',
        'if status == "pruned" and rung',
        "test_stopping.py",
    ),
    Mutant(
        "standard errors divide by n",
        "precision.py",
        "/ (size - 1) / size)",
        "/ size / size)",
        "test_precision.py",
    ),
    Mutant(
        "the word to end a point ends whoever records next",
        "inside/crumb.py",
        "return crumb[ENDING] == position + 1 and crumb[ENDING_TURN] == crumb[TURN]",
        "return crumb[ENDING] > 0",
        "test_recording.py",
    ),
    Mutant(
        "replicates are told one by one",
        "run/endings.py",
        "if len(gathered) == self._replicates:",
        "if gathered:",
        "test_planning.py::test_replicates_are_told_as_their_mean_once_all_are_there",
    ),
    Mutant(
        "a latin hypercube has the same strata in every dimension",
        "space/sequences.py",
        "strata = self._strata[dimension].forward(rows)",
        "strata = self._strata[0].forward(rows)",
        "test_sampling.py::test_dimensions_do_not_resemble_each_other",
    ),
)


class Bench:
    """A copy of the source in which defects are planted.

    Parameters
    ----------
    folder : Path
        Empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests", "sweeps"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    @contextlib.contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Put a defect in for a while.

        Raises
        ------
        LookupError
            Its old text does not occur, or more than once.
        """
        path = self.folder / "src/swath" / mutant.file
        text = path.read_text() if path.exists() else ""
        if text.count(mutant.old) != 1:
            raise LookupError(f"{mutant.file} holds {text.count(mutant.old)} times: {mutant.old!r}")
        path.write_text(text.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            path.write_text(text)

    def test(self, tests: Iterable[str]) -> str:
        """Run tests; return the first that fails, "hangs", or nothing if all pass.

        Raises
        ------
        LookupError
            There are no such tests.
        """
        chosen = [str(self.folder / "tests" / test) for test in tests]
        options = [
            "-x",
            "-q",
            "--no-header",
            "--tb=no",
            "-rfE",
            "-p",
            "no:cacheprovider",
            "--seeds",
            "200",
            "--timeout",
            "60",
        ]
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *options, *chosen],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=HANG,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "hangs"
        if done.returncode == 0:
            return ""
        failed = [
            line.split(" - ")[0] for line in done.stdout.splitlines() if line[:6] in ("FAILED", "ERROR ")
        ]
        if done.returncode != 1 or not failed:
            raise LookupError(
                f"pytest ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}"
            )
        return failed[0].rpartition("::")[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant what is asked for, print what became of it, and return the exit code."""
    parser = argparse.ArgumentParser(description="Plant defects, and see whether tests find them.")
    parser.add_argument("-k", default="", help="only defects whose description or file has this in it")
    parser.add_argument("--trust", action="store_true", help="skip the run without any defect")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in MUTANTS if options.k in f"{mutant.what} {mutant.file}"]
    caught, errors = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        tests = sorted({test for mutant in mutants for test in mutant.tests.split()})
        if not options.trust and (failed := bench.test(tests)):
            print(f"without any defect a test fails already: {failed}")
            return 2
        print("| defect | where | found by | seconds |\n|---|---|---|---|", flush=True)
        for mutant in mutants:
            begun = time.monotonic()
            try:
                with bench.planted(mutant):
                    found = bench.test(mutant.tests.split())
            except LookupError as error:
                found, errors = f"ERROR: {error}", errors + 1
            else:
                caught += bool(found)
            seconds = time.monotonic() - begun
            print(f"| {mutant.what} | {mutant.file} | {found or 'SURVIVES'} | {seconds:.0f} |", flush=True)
    print(f"caught {caught}/{len(mutants)}")
    return int(errors > 0 or caught < GOAL * len(mutants))


if __name__ == "__main__":
    sys.exit(main())
