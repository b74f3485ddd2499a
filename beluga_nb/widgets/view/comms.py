"""Messages of a widget while a cell runs: they must not wait for the main shell."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets


def receive_in_any_shell(widget: widgets.Widget) -> None:
    """Have the kernel deliver a widget's messages in the shell that the front end sent them to.

    ipykernel 7.4 delivers a message in the shell that last sent one through the same comm object: for a
    widget made in a cell that is the main shell, which a running cell blocks. The comm manager gets a comm
    object of its own for the widget, which never sends, and only passes on what it receives.
    """
    try:
        from comm import get_comm_manager
        from comm.base_comm import BaseComm
    except ImportError:  # an older ipykernel has neither this package nor subshells
        return

    class Receiver(BaseComm):
        def publish_msg(self, *args: Any, **options: Any) -> None:
            """Send nothing: the widget's own comm object sends."""

        def handle_msg(self, message: Any) -> None:
            sender.handle_msg(message)

        def handle_close(self, message: Any) -> None:
            sender.handle_close(message)

    if (sender := widget.comm) is not None:  # a closed widget has none
        receiver = Receiver(target_name=sender.target_name, comm_id=sender.comm_id, primary=False)
        get_comm_manager().register_comm(receiver)
