//! `kaspector top`: a sensor on one screen of a terminal, one that runs or one of the screen's own.
//!
//! In:    what the sensor shows over HTTP, as the page reads it.
//! Out:   a screen that is drawn anew while somebody looks, or once as text.
//! Never: changes anything of the sensor.

mod answers;
mod client;
#[cfg(target_os = "linux")]
mod own_sensor;
mod screen;
mod view;

pub use client::Sensor;
#[cfg(target_os = "linux")]
pub use own_sensor::OwnSensor;

use crate::process::clock::now;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use view::View;

/// How often keys are asked for.
const KEYS: Duration = Duration::from_millis(100);
/// Pause before alerts are asked for again, after the sensor was away.
const AGAIN: Duration = Duration::from_secs(2);

/// Shows the sensor until somebody presses `q`, or until a signal ends it.
///
/// # Errors
/// When the sensor cannot be asked at the start, or the terminal cannot be used. A sensor that goes away later is waited for.
pub fn follow(sensor: &Sensor, interval: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut first = View::default();
    runtime.block_on(first.refresh(sensor))?;
    let view = Arc::new(Mutex::new(first));
    let is_over = Arc::new(AtomicBool::new(false));
    runtime.spawn(refresh(sensor.clone(), interval, Arc::clone(&view)));
    runtime.spawn(listen(sensor.clone(), Arc::clone(&view)));
    runtime.spawn(end_on_signals(Arc::clone(&is_over)));
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &view, &is_over);
    ratatui::restore();
    runtime.shutdown_background();
    shown.map_err(Into::into)
}

/// Writes the screen once as text.
///
/// # Errors
/// When the sensor cannot be asked, or `out` fails.
pub fn once(sensor: &Sensor, out: &mut impl Write, width: u16) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut view = View::default();
    runtime.block_on(async {
        view.refresh(sensor).await?;
        sensor.recent_alerts(screen::ALERTS_SHOWN, |alert| view.take_alert(&alert)).await
    })?;
    let mut terminal = Terminal::new(TestBackend::new(width.max(screen::WIDTH_MIN), view.height()))?;
    terminal.draw(|frame| screen::draw(frame, &view, 0))?;
    for row in terminal.backend().buffer().content().chunks(usize::from(width.max(screen::WIDTH_MIN))) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn show(terminal: &mut ratatui::DefaultTerminal, view: &Mutex<View>, is_over: &AtomicBool) -> io::Result<()> {
    let mut first_host: usize = 0;
    while !is_over.load(Ordering::Relaxed) {
        {
            let view = view.lock().unwrap_or_else(PoisonError::into_inner);
            first_host = first_host.min(view.hosts_read().saturating_sub(1));
            terminal.draw(|frame| screen::draw(frame, &view, first_host))?;
        }
        if !poll(KEYS)? {
            continue;
        }
        let Event::Key(key) = read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Down | KeyCode::Char('j') => first_host += 1,
            KeyCode::Up | KeyCode::Char('k') => first_host = first_host.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => first_host += 10,
            KeyCode::PageUp => first_host = first_host.saturating_sub(10),
            KeyCode::Home => first_host = 0,
            _ => {}
        }
    }
    Ok(())
}

async fn refresh(sensor: Sensor, interval: Duration, view: Arc<Mutex<View>>) {
    loop {
        tokio::time::sleep(interval).await;
        let answers = sensor.answers().await;
        view.lock().unwrap_or_else(PoisonError::into_inner).take(answers, now());
    }
}

async fn listen(sensor: Sensor, view: Arc<Mutex<View>>) {
    loop {
        let take = |alert: String| view.lock().unwrap_or_else(PoisonError::into_inner).take_alert(&alert);
        // What came before is told again; the view knows it by its identifier.
        let _ = sensor.alerts(screen::ALERTS_SHOWN, take).await;
        tokio::time::sleep(AGAIN).await;
    }
}

/// A terminal that nobody restored is of no use to the next program.
async fn end_on_signals(is_over: Arc<AtomicBool>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut terminate), Ok(mut hang_up)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
        else {
            return;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        is_over.store(true, Ordering::Relaxed);
    }
    #[cfg(not(unix))]
    drop(is_over);
}
