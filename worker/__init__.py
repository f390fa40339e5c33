"""The model's side: sampling, training, evaluation, and the processes that do them."""

from app.kit.settings import let_waiting_threads_sleep

let_waiting_threads_sleep()
