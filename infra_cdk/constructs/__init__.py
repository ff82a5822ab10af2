"""The parts that stacks are built of: storage, queue, function, jobs, API, and the grants between them."""
